"""95 % intervals: a bootstrap of the influences for smooth scores, half-samples for those that count neighbours.

Resampling images with replacement puts copies side by side, which lowers the rank of a covariance and shrinks the
distances to neighbours: the resampled score is biased, and its spread too wide. Neither way here makes a copy.

An interval is that of the score's mean at these sample counts: about it, further samples of as many images spread.
It does not take off the bias that a small count has; the extrapolated distance and the kernel distance are for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.seeding import numpy_generator
from metrics.scores.influence import Influence

__all__ = ["Interval", "bootstrap", "half_sampling", "or_wilson"]

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """Ends of a 95 % interval."""

    low: float
    high: float


def bootstrap(influence: Influence, *, resamples: int = 200, seed: int = 0, least: float | None = None) -> Interval:
    """Basic bootstrap interval of a score that is linear in its images to first order.

    Resampling with replacement moves such a score by the mean influence of the rows drawn (Efron, The Jackknife, the
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
    low, high = _basic(np.array([influence.value]), moves[:, None])
    return Interval(float(low[0]) if least is None else max(float(low[0]), least), float(high[0]))


def half_sampling(
    values: NDArray[np.float64],
    statistic: Callable[[Tensor, Tensor], NDArray[np.float64]],
    n: int,
    m: int,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> list[Interval]:
    """Intervals of K scores from random halves of both sets, drawn without replacement.

    A half-sample spreads around its own mean as the whole does around the truth, also for scores that are not smooth
    (delete-half jackknife: Shao and Wu, A general theory for jackknife variance estimation, 1989).

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
    halves = np.stack(rows)
    low, high = _basic(values, halves - halves.mean(0))
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def or_wilson(interval: Interval, share: float, count: int) -> Interval:
    """The hull, within [0, 1], of an interval of a share and its Wilson interval at `count` rows.

    All rows inside or all outside leave resamples no spread at all, though `count` rows cannot tell 0 from 1 / count;
    Wilson, Probable inference, the law of succession, and statistical inference, 1927.

    >>> or_wilson(Interval(1.0, 1.0), 1.0, 40).low < 0.92
    True
    """
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    return Interval(max(0.0, min(interval.low, middle - half)), min(1.0, max(interval.high, middle + half)))


def _basic(values: NDArray[np.float64], moves: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends (K,) of basic intervals from moves (R, K): what the estimate overshot by is taken off."""
    tail = (1 - LEVEL) / 2
    return values - np.quantile(moves, 1 - tail, axis=0), values - np.quantile(moves, tail, axis=0)


def _enough(resamples: int) -> int:
    if resamples < 20:
        raise ValueError(f"expected at least 20 resamples for a 95 % interval, got {resamples}")
    return resamples
