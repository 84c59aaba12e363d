"""New points between and around the samples of a class, in the feature space of a backbone.

After DeVries and Taylor, Dataset augmentation in feature space (2017). Everything is pure: arrays in, arrays out, and
the same seed gives the same points.
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
class NewFeatures:
    """Points that were made.

    Attributes:
        values: (M, D).
        labels: (M,), each that of its parents.
        first: (M,), index of the sample that a point starts from.
        second: (M,), index of the one it leads to or away from; -1 where there is none.
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
) -> NewFeatures:
    """Points on the segments between samples of a class: `(c_k - c_j) lambda + c_j`.

    Args:
        features: (N, D).
        labels: N classes.
        count: points to make; classes take turns, so that every class gets as many.
        amount: lambda, or the range it is drawn from, within 0..1.
        neighbors: the other end is one of so many nearest samples of the class; None for any of them.
        seed: another seed, other points.

    Raises:
        ValueError: shapes do not go together, lambda is outside 0..1, or no class has two samples.

    >>> made = interpolate([[0.0, 0.0], [1.0, 2.0]], ["crack", "crack"], 1, amount=0.5)
    >>> made.values.tolist(), made.labels.tolist()
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
) -> NewFeatures:
    """Points beyond a sample, away from another of its class: `(c_j - c_k) lambda + c_j`.

    Args:
        features: (N, D).
        labels: N classes.
        count: points to make; classes take turns.
        amount: lambda from 0, or the range it is drawn from; the paper takes 0.5.
        neighbors: the other sample is one of so many nearest of the class; None for any of them.
        seed: another seed, other points.

    Raises:
        ValueError: shapes do not go together, lambda is negative, or no class has two samples.
    """
    low, high = _range(amount)
    if low < 0:
        raise ValueError(f"expected a lambda from 0, got {low:g}; use interpolate to go towards a sample")
    return _between(features, labels, count, (low, high), neighbors, seed, sign=-1.0)


def perturb(
    features: ArrayLike, labels: Sequence[str], count: int, *, amount: float = 0.5, seed: int = 0
) -> NewFeatures:
    """Samples with Gaussian noise: `c_i + gamma X`, X of each feature's own deviation.

    Args:
        features: (N, D).
        labels: N classes; the deviation is that of the class, or of the whole set where a class has one sample.
        count: points to make; classes take turns.
        amount: gamma, from 0; the paper takes 0.5.
        seed: another seed, other points.

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
    made = values[first] + amount * noise * np.asarray([spread[c] for c in turn]).reshape(count, -1)
    return NewFeatures(made, names[first], first, np.full(count, -1, np.int64), np.full(count, float(amount)))


def _between(
    features: ArrayLike,
    labels: Sequence[str],
    count: int,
    amount: tuple[float, float],
    neighbors: int | None,
    seed: int,
    *,
    sign: float,
) -> NewFeatures:
    values, names = _checked(features, labels, count)
    if neighbors is not None and neighbors < 1:
        raise ValueError(f"expected at least 1 neighbour, got {neighbors}; give None for any sample of the class")
    classes, members = _members(names, least=2)
    if not classes:
        raise ValueError("expected a class of two samples or more, got none; use perturb for single samples")
    near = [_neighbors(values[m], neighbors) for m in members]
    draw = numpy_generator(seed, "feature pairs").random((count, 3))
    turn = np.arange(count) % len(classes)
    first, second = np.empty(count, np.int64), np.empty(count, np.int64)
    for i, (kind, (u, v, _)) in enumerate(zip(turn, draw, strict=True)):
        own = int(u * len(members[kind]))
        others = near[kind][own]
        first[i], second[i] = members[kind][own], members[kind][others[int(v * len(others))]]
    share = amount[0] + draw[:, 2] * (amount[1] - amount[0])
    made = values[first] + sign * share[:, None] * (values[second] - values[first])
    return NewFeatures(made, names[first], first, second, share)


def _neighbors(values: Floats, count: int | None) -> NDArray[np.int64]:
    """(n, k) indices of the nearest others of each sample, nearest first; ties by index."""
    size = len(values)
    wanted = size - 1 if count is None else min(count, size - 1)
    found = np.empty((size, wanted), np.int64)
    squares = np.square(values).sum(axis=1)
    for start in range(0, size, _BLOCK):
        rows = slice(start, min(start + _BLOCK, size))
        distance = squares[rows, None] + squares[None] - 2 * values[rows] @ values.T
        distance[np.arange(distance.shape[0]), np.arange(rows.start, rows.stop)] = np.inf
        found[rows] = np.argsort(distance, axis=1, kind="stable")[:, :wanted]
    return found


def _checked(features: ArrayLike, labels: Sequence[str], count: int) -> tuple[Floats, NDArray[np.str_]]:
    values, names = np.asarray(features, np.float64), np.asarray(labels, np.str_)
    if values.ndim != 2 or len(values) != len(names) or not len(values):
        raise ValueError(
            f"expected features (N, D) and N labels, got {values.shape} and {names.shape}; give one label a row"
        )
    if not np.isfinite(values).all():
        raise ValueError("expected finite features, got NaN or infinite ones; leave those rows out")
    if count < 0:
        raise ValueError(f"expected a count from 0, got {count}; say how many points to make")
    return values, names


def _members(names: NDArray[np.str_], least: int) -> tuple[list[str], list[NDArray[np.int64]]]:
    """The classes with enough samples, sorted, and the indices of their samples."""
    classes = sorted(set(names.tolist()))
    members = [np.flatnonzero(names == name) for name in classes]
    kept = [i for i, m in enumerate(members) if len(m) >= least]
    return [classes[i] for i in kept], [members[i] for i in kept]


def _range(amount: float | tuple[float, float]) -> tuple[float, float]:
    low, high = amount if isinstance(amount, tuple) else (amount, amount)
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ValueError(f"expected lambda as a number or (low, high), got {amount!r}; order the two ends")
    return float(low), float(high)
