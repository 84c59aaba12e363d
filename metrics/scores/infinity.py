"""Frechet distance extrapolated to infinitely many images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from engine.seeding import numpy_generator
from metrics.scores.intervals import Influence, frechet_influence
from metrics.scores.score import Array, checked_pair

_LEAST_ROWS = 12


@dataclass(frozen=True)
class Infinity:
    """The line through the distances at several sample counts.

    Attributes:
        value: The distance at infinitely many images; may fall below zero by chance.
        slope: By how much the distance at all images exceeds it: the bias that the line takes off.
        fractions: Shares (P,) of the images that were used.
        distances: Distances (P,) at these shares.
        influence: The value, and how much every row moves it.
    """

    value: float
    slope: float
    fractions: tuple[float, ...]
    distances: tuple[float, ...]
    influence: Influence


def frechet_infinity(
    *,
    real: Array,
    fake: Array,
    seed: int,
    points: int = 8,
    orders: int = 4,
    smallest: float = 0.5,
    thinned: Literal["both", "fake"] = "both",
) -> Infinity:
    """Frechet distance at infinitely many images, by a line through distances at fewer.

    Chong and Forsyth, Effectively Unbiased FID and Inception Score, 2020, section 4: the bias of the distance is linear
    in 1 / N to first order, so that a line through the distances of random subsets against 1 / N meets the other axis
    at the unbiased distance. They thin the synthetic images against a large real set; here the real set is as small as
    the synthetic one, and thinning both alike takes off the bias of both. Where a set has fewer rows than there are
    features, the bias is no longer linear, and part of it stays.

    Args:
        real: Features (N, D) of real images.
        fake: Features (M, D) of synthetic images.
        seed: Seed of the random orders of the rows; the subsets are the first rows of one.
        points: Number of subsets of one order, the last being all rows.
        orders: Number of random orders, whose distances are averaged.
        smallest: Share of the rows in the smallest subset.
        thinned: Which sets are thinned; `fake` is the estimator of the paper.

    Raises:
        ValueError: Fewer than 12 rows, different dimensions, numbers that are not finite, real rows all equal, or
            points or a share that make no line.
    """
    first, second = checked_pair(real, fake, least=_LEAST_ROWS)
    if points < 2 or orders < 1 or not 0 < smallest < 1:
        raise ValueError(
            f"expected at least 2 points, 1 order and a share between 0 and 1, got {points}, {orders} and {smallest}"
        )
    fractions = np.linspace(smallest, 1, points)
    line = np.linalg.pinv(np.stack([np.ones(points), 1 / fractions], axis=1))
    sets = (first - second.mean(0), second - second.mean(0))
    products = sets[0] @ sets[1].T if max(map(len, sets)) <= first.shape[1] else None
    moved = [torch.zeros(len(rows), dtype=rows.dtype) for rows in sets]
    distances = np.zeros(points)
    generator = numpy_generator(seed, "frechet infinity")
    for _ in range(orders):
        order = [torch.from_numpy(generator.permutation(len(rows))) for rows in sets]
        for point, fraction in enumerate(fractions):
            shares = (1.0 if thinned == "fake" else fraction, fraction)
            rows = [o[: max(2, round(share * len(o)))] for o, share in zip(order, shares, strict=True)]
            known = None if products is None else products[rows[0]][:, rows[1]]
            part = frechet_influence(sets[0][rows[0]], sets[1][rows[1]], known)
            distances[point] += part.value / orders
            for total, selected, move in zip(moved, rows, (part.real, part.fake), strict=True):
                total[selected] += float(line[0, point]) / orders * len(total) / len(selected) * move
    value, slope = (float(x) for x in line @ distances)
    influence = Influence(value, moved[0] - moved[0].mean(), moved[1] - moved[1].mean())
    return Infinity(value, slope, tuple(fractions.tolist()), tuple(distances.tolist()), influence)
