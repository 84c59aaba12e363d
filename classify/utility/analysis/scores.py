"""Scores of a trial, and statistics of their differences. Average precision is the primary score.

Average precision measures how well defective images are ranked above good ones, and unlike the area under the ROC
curve it is not flattered by many easy good ones; it needs no threshold, so that no arm wins by a luckier one. Scores
are scikit-learn's. Two statistics are not in it: Wilcoxon's signed-rank test with the exact distribution of tied ranks
(`scipy.stats.wilcoxon` has it without ties only), and Holm's correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from defects.sample import GOOD, Sample
from engine.seeding import numpy_generator

if TYPE_CHECKING:
    from classify.utility.design.division import Division

PRIMARY = "average_precision"
PRECISION = 0.95

Floats = NDArray[np.float64]


def average_precision(scores: Floats, labels: NDArray[np.bool_]) -> float:
    """Sum over thresholds of the gain in recall times the precision; tied scores share a threshold."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, scores))


def resampled_precision(scores: Floats, labels: NDArray[np.bool_], weights: Floats) -> Floats:
    """Average precision (B,) of scores (N,) in each of B resamples, by how often each counts, (B, N).

    `average_precision_score(labels, scores, sample_weight=...)` of all resamples at once, some hundred times faster;
    NaN where no defective one is left.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    counted = weights[:, order]
    true = np.cumsum(counted * labels[order], axis=1)[:, ends]
    every = np.cumsum(counted, axis=1)[:, ends]
    gained = np.diff(true, axis=1, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((gained * (true / np.maximum(every, 1e-12))).sum(axis=1) / true[:, -1])


def best_threshold(scores: Floats, labels: NDArray[np.bool_]) -> float:
    """The threshold of the highest F1, halfway between two scores."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(np.round(f1[:-1], 12)))
    below = thresholds[best - 1] if best else thresholds[0] - 2.0
    return float((thresholds[best] + below) / 2)


def at_threshold(scores: Floats, labels: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Precision, recall, F1, accuracy and balanced accuracy of predicting defective above the threshold."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support, recall_score

    predicted = scores > threshold
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average="binary", zero_division=0.0)
    specificity = recall_score(~labels, ~predicted, zero_division=0.0)
    return {
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": float(recall + specificity) / 2,
    }


def recall_at(scores: Floats, labels: NDArray[np.bool_], least: float = PRECISION) -> float:
    """The highest recall at which the precision is reached; 0 where it is nowhere."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(labels, scores)
    return float(recall[precision >= least].max())


def score_dict(scores: Floats, classes: Sequence[str | None], threshold: float) -> dict[str, Any]:
    """All scores of a test.

    Args:
        scores: (N,).
        classes: The defect class of each image; None for a good one.
        threshold: Selected on validation.
    """
    from sklearn.metrics import roc_auc_score

    labels = np.asarray([name is not None for name in classes])
    recalls = {
        name: round(float((scores[[own == name for own in classes]] > threshold).mean()), 6)
        for name in sorted({name for name in classes if name is not None})
    }
    values = {
        PRIMARY: average_precision(scores, labels),
        "auroc": float(roc_auc_score(labels, scores)),
        **at_threshold(scores, labels, threshold),
        "recall_at_precision_95": recall_at(scores, labels),
    }
    return {**{name: round(value, 6) for name, value in values.items()}, "recall_of": recalls}


def outcome(*, val: Floats, test: Floats, division: Division) -> tuple[dict[str, Any], float]:
    """The scores of a trial for its results line, and the threshold, which validation selects.

    Args:
        val: Scores (V,) of the validation images.
        test: Scores (T,) of the test images.
        division: Of these images.
    """
    classes = {
        name: [None if sample.label == GOOD else sample.label for sample in samples]
        for name, samples in (("val", division.val), ("test", division.test))
    }
    threshold = best_threshold(val, np.asarray([name is not None for name in classes["val"]]))
    return {
        "val": score_dict(val, classes["val"], threshold),
        "test": score_dict(test, classes["test"], threshold),
        "scores": [round(float(score), 6) for score in test],
    }, threshold


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
    """The lowest two-sided p-value that a number of pairs can reach.

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


@dataclass(frozen=True)
class Difference:
    """An arm less the one it is compared with.

    Attributes:
        value: Mean over the seeds, of the primary score on the test.
        low: End of the 95 % interval.
        high: Its other end.
        pairs: One difference a seed (and number of shots).
        p_value: Of the signed-rank test on the pairs.
    """

    value: float
    low: float
    high: float
    pairs: tuple[float, ...]
    p_value: float


class Resamples:
    """Random draws of the tested groups, the same for every comparison.

    Args:
        test: The test images.
        count: How many draws.
        seed: Of the draws.
    """

    def __init__(self, test: Sequence[Sample], *, count: int = 1000, seed: int = 0) -> None:
        self.labels = np.asarray([sample.label != GOOD for sample in test])
        self.count = count
        self.seed = seed
        rng = numpy_generator(seed, "utility", "parts")
        groups = [sample.part for sample in test]
        defective = {group for group, label in zip(groups, self.labels, strict=True) if label}
        self.weights = np.zeros((count, len(test)))
        for own in (sorted(defective), sorted(set(groups) - defective)):
            at = {group: place for place, group in enumerate(own)}
            draws = rng.multinomial(len(own), np.full(len(own), 1 / max(1, len(own))), size=count) if own else None
            for column, group in enumerate(groups):
                if draws is not None and group in at:
                    self.weights[:, column] = draws[:, at[group]]

    def mean_of(self, scores: Sequence[float]) -> Floats:
        """(1 + B,) mean over the defective images: on the test, then on every resample of its groups."""
        values = np.asarray(scores, np.float64)[self.labels]
        weights = self.weights[:, self.labels]
        return np.append(values.mean(), (weights * values).sum(axis=1) / weights.sum(axis=1))

    def precision_of(self, scores: Sequence[float]) -> Floats:
        """(1 + B,) average precision of a trial: on the test, then on every resample of its groups."""
        values = np.asarray(scores, np.float64)
        each = resampled_precision(values, self.labels, self.weights)
        return np.append(average_precision(values, self.labels), each)

    def seeds(self, count: int) -> NDArray[np.int64]:
        """(B, seeds) how often each seed counts in each resample."""
        rng = numpy_generator(self.seed, "utility", "seeds")
        return rng.multinomial(count, np.full(count, 1 / count), size=self.count)


def difference(arm: Floats, other: Floats, resamples: Resamples) -> Difference:
    """Compares two arms.

    Args:
        arm: (L, S, 1 + B) as `Resamples` gives them, of L numbers of shots and S seeds.
        other: The same of the other arm, with the same shots and seeds.
        resamples: The draws.
    """
    apart = arm - other
    pairs = tuple(float(value) for value in apart[..., 0].ravel())
    # A seed is resampled with all its few-shot splits: they hold one another.
    each = apart[..., 1:].mean(axis=0)
    moves = (resamples.seeds(each.shape[0]) * each.T).sum(axis=1) / each.shape[0]
    low, high = np.quantile(moves, (0.025, 0.975))
    return Difference(float(np.mean(pairs)), float(low), float(high), pairs, signed_rank(pairs))


def mean_interval(arm: Floats, resamples: Resamples) -> tuple[float, float, float]:
    """Mean over the seeds and its 95 % interval, of (S, 1 + B)."""
    moves = (resamples.seeds(len(arm)) * arm[:, 1:].T).sum(axis=1) / len(arm)
    low, high = np.quantile(moves, (0.025, 0.975))
    return float(arm[:, 0].mean()), float(low), float(high)
