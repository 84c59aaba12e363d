"""95 % intervals: a bootstrap of the influences for smooth scores, half-samples for those that count neighbors.

Resampling images with replacement puts equal rows side by side, which lowers the rank of a covariance and shrinks the
distances to neighbors: the resampled score is biased, and its spread too wide. Neither way here makes a copy.

An interval is that of the score's mean at these sample counts: about it, further samples of as many images spread.
An influence is the derivative of a score by a row's share of its set, centered: to first order, the score of reweighted
sets is the score plus the weighted mean of the influences. One decomposition thus serves all resamples.

It does not take off the bias that a small count has; the extrapolated distance and the kernel distance are for that.

Coverage measured on Gaussians and on heavy-tailed mixtures of them (40 to 500 rows, 20 to 512 columns, 100 to 200
runs each): about the mean at these counts, the Frechet distance 93 to 100 %, its extrapolation 92 to 100 %, the kernel
distance 90 to 98 %, the neighbor scores 94 to 100 %. Towards 100 % where both sets come from one distribution: there
the deviation is overestimated, up to 1.8 times. About the true distance, the extrapolation 92 to 100 % from 1.5 rows a
column on, where the plain distance has 0 to 88 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.seeding import numpy_generator
from metrics.scores.frechet import centered
from metrics.scores.kernel import kernel_means

LEVEL = 0.95
_Z = 1.959964


@dataclass(frozen=True)
class Influence:
    """A score and what moves it.

    Attributes:
        value: The score of the sets as they are.
        real: Influence (N,) of each real row, mean zero; empty where only synthetic rows count.
        fake: Influence (M,) of each synthetic row, mean zero.
    """

    value: float
    real: Tensor
    fake: Tensor


def frechet_influence(real: Tensor, fake: Tensor, products: Tensor | None = None) -> Influence:
    """Frechet distance and the influence of every row on it.

    The derivative of the distance by the first covariance is I - T, T being the linear map that carries the first
    Gaussian onto the second; Rippl, Munk and Sturm, Limit laws of the empirical Wasserstein distance: Gaussian
    distributions, 2016, theorem 2.2. With A^T A and B^T B the covariances and A B^T = U S V^T, the
    quadratic form of T at a row with coordinates c in A is |S^(1/2) U^T c|^2, also where rows are fewer than columns.

    Args:
        real: Features (N, D), float64.
        fake: Features (M, D), float64.
        products: Inner products (N, M) of the rows, where they are at hand and no set has more rows than columns.
    """
    a, b = centered(real), centered(fake)
    shift = real.mean(0) - fake.mean(0)
    (root_a, coordinates_a), (root_b, coordinates_b) = _factor(a), _factor(b)
    if products is None:
        between = root_a @ root_b.T
    else:
        between = (products - products.mean(0) - products.mean(1, keepdim=True) + products.mean()).div_(
            ((len(a) - 1) * (len(b) - 1)) ** 0.5
        )
    left, right, trace = _rooted_vectors(between)
    value = shift.square().sum() + a.square().sum() + b.square().sum() - 2 * trace
    return Influence(
        max(float(value), 0.0),
        _row_influence(a, left if coordinates_a is None else coordinates_a @ left, shift),
        _row_influence(b, right if coordinates_b is None else coordinates_b @ right, -shift),
    )


def _rooted_vectors(matrix: Tensor) -> tuple[Tensor, Tensor, float]:
    """U S^(1/2) (N, R) and V S^(1/2) (M, R) of a matrix U S V^T (N, M), and the sum of S.

    From the eigenvectors of the smaller product of the matrix with its transpose, several times quicker than a
    decomposition into singular values; directions below rounding are left out.
    """
    if len(matrix) > matrix.shape[1]:
        right, left, trace = _rooted_vectors(matrix.T)
        return left, right, trace
    norms, vectors = torch.linalg.eigh(matrix @ matrix.T)
    retained = norms > _rounding(norms)
    values, vectors = norms[retained].sqrt(), vectors[:, retained]
    return vectors * values.sqrt(), (matrix.T @ vectors) / values.sqrt(), float(values.sum())


def _rounding(ascending: Tensor) -> float:
    """What eigenvalues (K,) in ascending order are below when they are 0 but for rounding; K may be 0."""
    return float(ascending[-1:].sum()) * len(ascending) * torch.finfo(ascending.dtype).eps


def _row_influence(rows: Tensor, carried: Tensor, shift: Tensor) -> Tensor:
    """Influence (N,) of centered, scaled rows (N, D), whose `carried` (N, R) have the quadratic form as length."""
    spread = len(rows) * (rows.square().sum(1) - carried.square().sum(1))
    influence: Tensor = spread + 2 * (len(rows) - 1) ** 0.5 * (rows @ shift)
    return influence - influence.mean()


def _factor(rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """A root R (K, D) of the rows' covariance R^T R, and the rows' coordinates (N, K) in it.

    Fewer rows than columns are their own root, with no coordinates needed. Otherwise the root comes from the
    eigenvectors, without the directions in which the rows do not vary.
    """
    if len(rows) <= rows.shape[1]:
        return rows, None
    values, vectors = torch.linalg.eigh(rows.T @ rows)
    retained = values > _rounding(values)
    deviations, vectors = values[retained].sqrt(), vectors[:, retained]
    return deviations[:, None] * vectors.T, rows @ vectors / deviations


def kernel_influence(real: Tensor, fake: Tensor) -> Influence:
    """Unbiased squared discrepancy of all rows and the influence of every row on it (its Hajek projection).

    Args:
        real: Features (N, D), float64.
        fake: Features (M, D), float64.
    """
    value, towards_real, towards_fake = kernel_means(real, fake)
    return Influence(value, 2 * (towards_real - towards_real.mean()), 2 * (towards_fake - towards_fake.mean()))


def inception_influence(logits: Tensor, value: float) -> Influence:
    """Inception score of `value` and the influence of each row of class logits (N, K) on it."""
    chances, logs = logits.softmax(1), logits.log_softmax(1)
    mixed = chances.mean(0).clamp_min(torch.finfo(torch.float64).tiny).log()
    divergence = (chances * (logs - mixed)).sum(1)
    return Influence(value, divergence[:0], value * (divergence - divergence.mean()))


@dataclass(frozen=True)
class Interval:
    """Ends of a 95 % interval."""

    low: float
    high: float


def bootstrap(influence: Influence, *, resamples: int = 200, seed: int = 0, least: float | None = None) -> Interval:
    """Basic bootstrap interval of a score that is linear in its images to first order.

    Resampling with replacement moves such a score by the mean influence of the sampled rows (Efron, The Jackknife, the
    Bootstrap and Other Resampling Plans, 1982, chapter 6), so that a resample costs a sum instead of a decomposition.

    Args:
        influence: The score and the influence of its rows.
        resamples: Number of resamples.
        seed: Seed of the resamples.
        least: What the score cannot fall below.

    Raises:
        ValueError: Fewer than 20 resamples.
    """
    generator = numpy_generator(seed, "bootstrap")
    moves = np.zeros(_enough(resamples))
    for side in (influence.real, influence.fake):
        if len(side):
            counts = generator.multinomial(len(side), np.full(len(side), 1 / len(side)), size=resamples)
            moves += counts @ side.numpy() / len(side) * (len(side) / (len(side) - 1)) ** 0.5
    # Basic, not percentile: what the resamples overshoot by is taken off.
    low, high = (influence.value - float(np.quantile(moves, end)) for end in (1 - (1 - LEVEL) / 2, (1 - LEVEL) / 2))
    return Interval(low if least is None else max(low, least), high)


def half_sampling(
    values: NDArray[np.float64],
    statistic: Callable[[Tensor, Tensor], NDArray[np.float64]],
    n: int,
    m: int,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> list[Interval]:
    """Intervals of K scores from random halves of both sets, sampled without replacement.

    The scores of half-samples deviate from their mean as much as those of whole samples do, also where a score is not
    smooth (delete-half jackknife: Shao and Wu, A general theory for jackknife variance estimation, 1989). The interval
    reaches 1.96 of their deviations to either side; their quantiles would be skewed the wrong way near 0 and 1.

    Args:
        values: Scores (K,) of the whole sets.
        statistic: Scores (K,) of the rows picked from the two sets by indices.
        n: Number of real rows.
        m: Number of synthetic rows.
        resamples: Number of halvings; each gives two half-samples.
        seed: Seed of the halvings.

    Raises:
        ValueError: Fewer than 20 resamples.
    """
    generator = numpy_generator(seed, "half sampling")
    rows = []
    for _ in range((_enough(resamples) + 1) // 2):
        first, second = (torch.from_numpy(generator.permutation(count)) for count in (n, m))
        rows.append(statistic(first[: n // 2], second[: m // 2]))
        rows.append(statistic(first[n - n // 2 :], second[m - m // 2 :]))
    radius = _Z * np.std(rows, axis=0)
    return [Interval(float(v - r), float(v + r)) for v, r in zip(values, radius, strict=True)]


def or_wilson(interval: Interval, share: float, count: int) -> Interval:
    """The hull, within [0, 1], of an interval of a share and its Wilson interval at `count` rows.

    All rows inside or all outside leave resamples no spread at all, though `count` rows cannot tell 0 from 1 / count;
    Wilson, Probable inference, the law of succession, and statistical inference, 1927.

    >>> or_wilson(Interval(1.0, 1.0), 1.0, 40).low < 0.92
    True
    """
    extra = _Z * _Z / count
    middle = (share + extra / 2) / (1 + extra)
    half = _Z / (1 + extra) * (share * (1 - share) / count + extra / (4 * count)) ** 0.5
    return Interval(max(0.0, min(interval.low, middle - half)), min(1.0, max(interval.high, middle + half)))


def _enough(resamples: int) -> int:
    if resamples < 20:
        raise ValueError(f"expected at least 20 resamples for a 95 % interval, got {resamples}")
    return resamples
