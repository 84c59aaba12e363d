"""Wilcoxon's signed-rank test with its exact distribution, ties included, and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["holm", "least_p", "signed_rank"]


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
