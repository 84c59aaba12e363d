"""Wilcoxon's signed-rank test with its exact distribution, ties included, and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classify.utility.analysis.scores import average_precision
from defects.sample import GOOD, Sample
from engine.seeding import numpy_generator


def signed_rank(differences: Sequence[float]) -> float:
    """Two-sided p-value that paired differences lie evenly about 0 (Wilcoxon, Individual comparisons by ranking, 1945).

    Differences of 0 are left out; tied ones share their mean rank, and the distribution is that of these very ranks.

    >>> signed_rank([1.0, 2.0, 3.0, 4.0, 5.0])
    0.0625

    Returns:
        1.0 where no difference is left.
    """
    from scipy.stats import rankdata

    values = np.asarray([value for value in differences if value != 0.0])
    if not len(values):
        return 1.0
    # Twice the ranks are whole numbers, also where ties share a mean rank.
    doubled = np.rint(2 * rankdata(np.round(np.abs(values), 12))).astype(np.int64)
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1.0
    for rank in doubled:
        moved = np.zeros_like(chances)
        moved[rank:] = chances[: len(chances) - rank]
        chances = (chances + moved) / 2
    above = int(doubled[values > 0].sum())
    tail = min(chances[: above + 1].sum(), chances[above:].sum())
    return float(min(1.0, 2 * tail))


def least_p(pairs: int) -> float:
    """The lowest two-sided p-value that so many pairs can reach.

    >>> least_p(5)
    0.0625
    """
    return float(min(1.0, 2.0 ** (1 - pairs)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for several tests (Holm, A simple sequentially rejective multiple test procedure, 1979).

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """An arm less the one it is compared with.

    Attributes:
        value: Mean over the seeds, of the primary score on the test.
        low: End of the 95 % interval.
        high: Its other end.
        pairs: One difference a seed (and level).
        p_value: Of the signed-rank test on the pairs.
    """

    value: float
    low: float
    high: float
    pairs: tuple[float, ...]
    p_value: float


class Resamples:
    """Random draws of the tested parts, the same for every comparison.

    Args:
        test: The tested photographs.
        count: How many draws.
        seed: Of the draws.
    """

    def __init__(self, test: Sequence[Sample], *, count: int = 1000, seed: int = 0) -> None:
        self.labels = np.asarray([sample.label != GOOD for sample in test])
        self.count = count
        self.seed = seed
        rng = numpy_generator(seed, "utility", "parts")
        parts = [sample.part for sample in test]
        defective = {part for part, label in zip(parts, self.labels, strict=True) if label}
        names = [sorted(defective), sorted(set(parts) - defective)]
        self.weights = np.zeros((count, len(test)))
        for own in names:
            at = {part: place for place, part in enumerate(own)}
            drawn = rng.multinomial(len(own), np.full(len(own), 1 / max(1, len(own))), size=count) if own else None
            for column, part in enumerate(parts):
                if drawn is not None and part in at:
                    self.weights[:, column] = drawn[:, at[part]]

    def mean_of(self, scores: Sequence[float]) -> Floats:
        """(1 + B,) mean over the defective photographs: on the test, then on every resample of its parts."""
        values = np.asarray(scores, np.float64)[self.labels]
        weights = self.weights[:, self.labels]
        return np.append(values.mean(), (weights * values).sum(axis=1) / weights.sum(axis=1))

    def precision_of(self, scores: Sequence[float]) -> Floats:
        """(1 + B,) average precision of a cell: on the test, then on every resample of its parts."""
        values = np.asarray(scores, np.float64)
        whole = average_precision(values, self.labels)
        return np.concatenate([whole, average_precision(values, self.labels, self.weights)])

    def seeds(self, count: int) -> NDArray[np.int64]:
        """(B, seeds) how often each seed counts in each resample."""
        rng = numpy_generator(self.seed, "utility", "seeds")
        return rng.multinomial(count, np.full(count, 1 / count), size=self.count)


def difference(arm: Floats, other: Floats, resamples: Resamples) -> Difference:
    """Compares two arms.

    Args:
        arm: (L, S, 1 + B) as `Resamples` gives them, of L levels and S seeds.
        other: The same of the other arm, with the same levels and seeds.
        resamples: The draws.
    """
    apart = arm - other
    pairs = tuple(float(value) for value in apart[..., 0].ravel())
    # A seed is drawn with all its levels: their few-shot subsets hold one another.
    each = apart[..., 1:].mean(axis=0)
    moves = (resamples.seeds(each.shape[0]) * each.T).sum(axis=1) / each.shape[0]
    low, high = np.quantile(moves, (0.025, 0.975))
    return Difference(float(np.mean(pairs)), float(low), float(high), pairs, signed_rank(pairs))


def mean_interval(arm: Floats, resamples: Resamples) -> tuple[float, float, float]:
    """Mean over the seeds and its 95 % interval, of (S, 1 + B)."""
    moves = (resamples.seeds(len(arm)) * arm[:, 1:].T).sum(axis=1) / len(arm)
    low, high = np.quantile(moves, (0.025, 0.975))
    return float(arm[:, 0].mean()), float(low), float(high)
