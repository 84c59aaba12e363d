"""New points between and around the samples of a class, in the feature space of a backbone.

After DeVries and Taylor, Dataset augmentation in feature space (2017). Pure functions of arrays: the same seed gives
the same points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.seeding import numpy_generator

Floats = NDArray[np.float64]
_BLOCK = 512


@dataclass(frozen=True)
class AugmentedFeatures:
    """Augmented points.

    Attributes:
        values: (M, D).
        labels: (M,), each that of its parents.
        first: (M,), index of the sample that a point starts from.
        second: (M,), index of the one it moves to or away from; -1 where there is none.
        amount: (M,), the lambda or the noise's strength.
    """

    values: Floats
    labels: NDArray[np.str_]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    amount: Floats


def interpolate(
    features: ArrayLike,
    labels: Sequence[str],
    count: int,
    *,
    amount: float | tuple[float, float] = (0.0, 1.0),
    neighbors: int | None = 10,
    seed: int = 0,
) -> AugmentedFeatures:
    """Points on the segments between samples of a class: `(c_k - c_j) lambda + c_j`.

    Args:
        features: (N, D).
        labels: N classes.
        count: number of points; classes take turns, so that all get equally many.
        amount: lambda, or the range it is sampled from, within 0..1.
        neighbors: the other end is one of so many nearest samples of the class; None for any of them.
        seed: of all random choices.

    Raises:
        ValueError: shapes do not go together, lambda is outside 0..1, or no class has two samples.

    >>> points = interpolate([[0.0, 0.0], [1.0, 2.0]], ["crack", "crack"], 1, amount=0.5)
    >>> points.values.tolist(), points.labels.tolist()
    ([[0.5, 1.0]], ['crack'])
    """
    low, high = _range(amount)
    if low < 0 or high > 1:
        raise ValueError(f"expected a lambda within 0..1, got {low:g}..{high:g}; use extrapolate to go beyond a sample")
    return _between(features, labels, count, (low, high), neighbors, seed, sign=1.0)


def extrapolate(
    features: ArrayLike,
    labels: Sequence[str],
    count: int,
    *,
    amount: float | tuple[float, float] = 0.5,
    neighbors: int | None = 10,
    seed: int = 0,
) -> AugmentedFeatures:
    """Points beyond a sample, away from another of its class: `(c_j - c_k) lambda + c_j`.

    The arguments are those of `interpolate`; lambda is any number from 0, and 0.5 in the paper.

    Raises:
        ValueError: shapes do not go together, lambda is negative, or no class has two samples.
    """
    low, high = _range(amount)
    if low < 0:
        raise ValueError(f"expected a lambda from 0, got {low:g}; use interpolate to go towards a sample")
    return _between(features, labels, count, (low, high), neighbors, seed, sign=-1.0)


def perturb(
    features: ArrayLike, labels: Sequence[str], count: int, *, amount: float = 0.5, seed: int = 0
) -> AugmentedFeatures:
    """Samples with Gaussian noise: `c_i + gamma X`, X of each feature's own deviation.

    Args:
        features: (N, D).
        labels: N classes; the deviation is that of the class, or of all samples where a class has one.
        count: number of points.
        amount: gamma, from 0; the paper takes 0.5.
        seed: of all random choices.

    Raises:
        ValueError: shapes do not go together, or gamma is negative.
    """
    values, names = _checked(features, labels, count)
    if not (np.isfinite(amount) and amount >= 0):
        raise ValueError(f"expected a gamma from 0, got {amount}; 0 repeats the samples, 0.5 is usual")
    classes, members = _members(names, least=1)
    everything = values.std(axis=0)
    spread = [values[m].std(axis=0) if len(m) > 1 else everything for m in members]
    rng = numpy_generator(seed, "feature noise")
    turn = np.arange(count) % len(classes)
    draw = rng.random(count)
    first = np.asarray([members[c][int(u * len(members[c]))] for c, u in zip(turn, draw, strict=True)], np.int64)
    noise = rng.standard_normal((count, values.shape[1]))
    points = values[first] + amount * noise * np.asarray([spread[c] for c in turn]).reshape(count, -1)
    return AugmentedFeatures(points, names[first], first, np.full(count, -1, np.int64), np.full(count, float(amount)))


METHODS = ("interpolate", "extrapolate", "perturb")


def augment_features(
    features: ArrayLike, labels: Sequence[str], *, method: str = "interpolate", factor: float = 1.0, seed: int = 0
) -> tuple[Floats, list[str]]:
    """Features with augmented ones appended, to train a classifier head or a linear probe on.

    Args:
        features: (N, D) of a frozen backbone.
        labels: N classes.
        method: One of `METHODS`, with the settings of the paper; a class of one sample can only be perturbed.
        factor: Augmented points per sample; classes take turns, so that rare ones get as many as frequent ones.
        seed: Of all random choices.

    Returns:
        (N + M, D) features, the given ones first, and their labels; M is N times the factor, rounded.

    Raises:
        ValueError: The method is unknown, the factor is negative, or features and labels do not go together.

    >>> values, labels = augment_features([[0.0], [1.0], [5.0]], ["crack", "crack", "pit"], factor=2)
    >>> values.shape, labels.count("crack"), labels.count("pit")
    ((9, 1), 8, 1)
    """
    if method not in METHODS:
        raise ValueError(f"expected a method of {', '.join(METHODS)}, got {method!r}; choose one of them")
    if not (np.isfinite(factor) and factor >= 0):
        raise ValueError(f"expected a factor from 0, got {factor}; 1 adds as many points as there are samples")
    function = {"interpolate": interpolate, "extrapolate": extrapolate, "perturb": perturb}[method]
    new = function(features, labels, round(factor * len(labels)), seed=seed)
    return np.concatenate([np.asarray(features, np.float64), new.values]), [*labels, *new.labels.tolist()]


def _between(
    features: ArrayLike,
    labels: Sequence[str],
    count: int,
    amount: tuple[float, float],
    neighbors: int | None,
    seed: int,
    *,
    sign: float,
) -> AugmentedFeatures:
    values, names = _checked(features, labels, count)
    if neighbors is not None and neighbors < 1:
        raise ValueError(f"expected at least 1 neighbor, got {neighbors}; give None for any sample of the class")
    classes, members = _members(names, least=2)
    if not classes:
        raise ValueError("expected a class of two samples or more, got none; use perturb for single samples")
    near = [_neighbors(values[m], neighbors) for m in members]
    draw = numpy_generator(seed, "feature pairs").random((count, 3))
    turn = np.arange(count) % len(classes)
    first, second = np.empty(count, np.int64), np.empty(count, np.int64)
    for i, (class_index, (u, v, _)) in enumerate(zip(turn, draw, strict=True)):
        own = int(u * len(members[class_index]))
        others = near[class_index][own]
        first[i], second[i] = members[class_index][own], members[class_index][others[int(v * len(others))]]
    share = amount[0] + draw[:, 2] * (amount[1] - amount[0])
    points = values[first] + sign * share[:, None] * (values[second] - values[first])
    return AugmentedFeatures(points, names[first], first, second, share)


def _neighbors(values: Floats, count: int | None) -> NDArray[np.int64]:
    """(n, k) indices of the nearest others of each sample, nearest first; ties by index."""
    size = len(values)
    limit = size - 1 if count is None else min(count, size - 1)
    nearest = np.empty((size, limit), np.int64)
    norms = np.square(values).sum(axis=1)
    for start in range(0, size, _BLOCK):
        rows = slice(start, min(start + _BLOCK, size))
        distance = norms[rows, None] + norms[None] - 2 * values[rows] @ values.T
        distance[np.arange(distance.shape[0]), np.arange(rows.start, rows.stop)] = np.inf
        nearest[rows] = np.argsort(distance, axis=1, kind="stable")[:, :limit]
    return nearest


def _checked(features: ArrayLike, labels: Sequence[str], count: int) -> tuple[Floats, NDArray[np.str_]]:
    values, names = np.asarray(features, np.float64), np.asarray(labels, np.str_)
    if values.ndim != 2 or len(values) != len(names) or not len(values):
        raise ValueError(
            f"expected features (N, D) and N labels, got {values.shape} and {names.shape}; give one label a row"
        )
    if not np.isfinite(values).all():
        raise ValueError("expected finite features, got NaN or infinite ones; leave those rows out")
    if count < 0:
        raise ValueError(f"expected a count from 0, got {count}; give the number of points")
    return values, names


def _members(names: NDArray[np.str_], least: int) -> tuple[list[str], list[NDArray[np.int64]]]:
    """The classes with enough samples, sorted, and the indices of their samples."""
    classes = sorted(set(names.tolist()))
    members = [np.flatnonzero(names == name) for name in classes]
    large_enough = [i for i, m in enumerate(members) if len(m) >= least]
    return [classes[i] for i in large_enough], [members[i] for i in large_enough]


def _range(amount: float | tuple[float, float]) -> tuple[float, float]:
    low, high = amount if isinstance(amount, tuple) else (amount, amount)
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ValueError(f"expected lambda as a number or (low, high), got {amount!r}; order the two ends")
    return float(low), float(high)
