"""95 % intervals: a bootstrap of the influences for smooth scores, half-samples for those that count neighbours.

Resampling images with replacement puts copies side by side, which lowers the rank of a covariance and shrinks the
distances to neighbours: the resampled score is biased, and its spread too wide. Neither way here makes a copy.

An interval is that of the score's mean at these sample counts: about it, further samples of as many images spread.
It does not take off the bias that a small count has; the extrapolated distance and the kernel distance are for that.

Coverage measured on Gaussians and on heavy-tailed mixtures of them (40 to 500 rows, 20 to 512 columns, 100 to 200
runs each): about the mean at these counts, the Frechet distance 93 to 100 %, its extrapolation 92 to 100 %, the kernel
distance 90 to 98 %, the neighbour scores 94 to 100 %. Towards 100 % where both sets come from one distribution: there
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
from metrics.scores.influence import Influence

LEVEL = 0.95
_Z = 1.959964


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
    """Intervals of K scores from random halves of both sets, drawn without replacement.

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
    reach = _Z * np.std(rows, axis=0)
    return [Interval(float(v - r), float(v + r)) for v, r in zip(values, reach, strict=True)]


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
