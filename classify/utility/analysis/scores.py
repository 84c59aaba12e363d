"""What a cell's scores of photographs are worth. Average precision is the primary score.

Average precision asks how well defective photographs are ranked above good ones, and unlike the area under the ROC
curve it is not flattered by many easy good ones; it needs no threshold, so that no arm wins by a luckier one. The
others are told beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classify.utility.design.settings import PHOTOGRAPHS, SQUARES
from defects.sample import GOOD

if TYPE_CHECKING:
    from classify.utility.design.division import Division

PRIMARY = "average_precision"
PRECISION = 0.95

Floats = NDArray[np.float64]


def average_precision(scores: Floats, labels: NDArray[np.bool_], weights: Floats | None = None) -> Floats:
    """Sum over thresholds of the gain in recall times the precision; tied scores share a threshold.

    Args:
        scores: (N,) higher is more defective.
        labels: (N,).
        weights: (B, N) how often each counts in each of B resamples; once each without them.

    Returns:
        (B,), or (1,) without weights; NaN where no defective one is left.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    counted = np.ones((1, len(scores))) if weights is None else weights
    counted = counted[:, order]
    true = np.cumsum(counted * labels[order], axis=1)[:, ends]
    every = np.cumsum(counted, axis=1)[:, ends]
    gained = np.diff(true, axis=1, prepend=0.0)
    total = true[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((gained * (true / np.maximum(every, 1e-12))).sum(axis=1) / total)


def auroc(scores: Floats, labels: NDArray[np.bool_]) -> float:
    """Chance that a defective photograph is scored above a good one, ties counting half."""
    from scipy.stats import rankdata

    ranks, positives = rankdata(scores), int(labels.sum())
    negatives = len(labels) - positives
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def best_threshold(scores: Floats, labels: NDArray[np.bool_]) -> float:
    """The threshold of the highest F1, halfway between two scores."""
    levels = np.unique(scores)
    middles = np.concatenate([[levels[0] - 1.0], (levels[1:] + levels[:-1]) / 2])
    true = (scores[labels][None] > middles[:, None]).sum(axis=1)
    found = (scores[None] > middles[:, None]).sum(axis=1)
    return float(middles[int(np.argmax(2 * true / (found + labels.sum())))])


def at_threshold(scores: Floats, labels: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Precision, recall, F1, accuracy and balanced accuracy of calling what is above the threshold defective."""
    called = scores > threshold
    true, false = float((called & labels).sum()), float((called & ~labels).sum())
    missed, passed = float((~called & labels).sum()), float((~called & ~labels).sum())
    recall = true / max(1.0, true + missed)
    return {
        "precision": true / max(1.0, true + false),
        "recall": recall,
        "f1": 2 * true / max(1.0, 2 * true + false + missed),
        "accuracy": (true + passed) / len(labels),
        "balanced_accuracy": (recall + passed / max(1.0, passed + false)) / 2,
    }


def recall_at(scores: Floats, labels: NDArray[np.bool_], precision: float = PRECISION) -> float:
    """The highest recall at which the precision is reached; 0 where it is nowhere."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true = np.cumsum(labels[order])[ends]
    reached = true / (ends + 1) >= precision
    return float(true[reached].max(initial=0) / labels.sum())


def score_dict(scores: Floats, kinds: Sequence[str | None], threshold: float) -> dict[str, Any]:
    """All scores of a test.

    Args:
        scores: (N,).
        kinds: The defect kind of each photograph; None for a good one.
        threshold: Chosen on validation.
    """
    labels = np.asarray([kind is not None for kind in kinds])
    recalls = {
        kind: round(float((scores[[own == kind for own in kinds]] > threshold).mean()), 6)
        for kind in sorted({kind for kind in kinds if kind is not None})
    }
    values = {
        PRIMARY: float(average_precision(scores, labels)[0]),
        "auroc": auroc(scores, labels),
        **at_threshold(scores, labels, threshold),
        "recall_at_precision_95": recall_at(scores, labels),
    }
    return {**{name: round(value, 6) for name, value in values.items()}, "recall_of": recalls}


def outcome(*, val: Floats, test: Floats, division: Division) -> tuple[dict[str, Any], float]:
    """What a cell's results line says of its photographs, and the threshold, which validation chooses.

    Args:
        val: Scores (V,) of the validation photographs.
        test: Scores (T,) of the tested ones.
        division: Whose photographs they are.
    """
    kinds = {name: [None if s.label == GOOD else s.label for s in getattr(division, name)] for name in ("val", "test")}
    threshold = best_threshold(val, np.asarray([kind is not None for kind in kinds["val"]]))
    return {
        "val": score_dict(val, kinds["val"], threshold),
        "test": score_dict(test, kinds["test"], threshold),
        "scores": [round(float(score), 6) for score in test],
    }, threshold


@dataclass(frozen=True)
class TaskKind:
    """One task.

    Attributes:
        name: As on the command line.
        title: Heading.
        primary: Name of the score that decides.
        words: The same in words.
        scores: Test scores shown, with their column titles.
        base: The arm that every source must beat.
        beside: How the first line names that.
        why: Why this score decides.
        unit: What is scored.
        shots: What a few-shot level counts.
    """

    name: str
    title: str
    primary: str
    words: str
    scores: tuple[tuple[str, str], ...]
    base: str
    beside: str
    why: str
    unit: str = PHOTOGRAPHS
    shots: str = "defective images"

    def of(self, unit: str) -> TaskKind:
        """The same task with photographs or squares scored, and its words saying so."""
        shots = "defective photographs" if unit == SQUARES else self.shots
        why = self.why.replace(PHOTOGRAPHS, unit)
        title = f"{self.title}, by {unit.removesuffix('s')}"
        return replace(self, unit=unit, shots=shots, why=why, words=f"{self.words} of {unit}", title=title)


CLASSIFY = TaskKind(
    "classify",
    "Classification: defective or good",
    PRIMARY,
    "average precision",
    (
        (PRIMARY, "AP"),
        ("auroc", "AUROC"),
        ("f1", "F1"),
        ("accuracy", "accuracy"),
        ("balanced_accuracy", "balanced accuracy"),
        ("recall_at_precision_95", "recall at 95 % precision"),
    ),
    "real+classical",
    "beside classical augmentation",
    "Average precision decides: it ranks defective above good photographs without a threshold, and many easy good ones "
    "do not flatter it.",
)
SEGMENT = TaskKind(
    "segment",
    "Segmentation: which pixels are defective",
    "iou",
    "IoU",
    (("iou", "IoU"), ("dice", "Dice"), ("found_in_good", "share found in good"), ("good_with_any", "good with any")),
    "real",
    "beside real images (all varied)",
    "The mean IoU over the defective test photographs decides, so that small defects count as much as large ones; what "
    "is found in good photographs is told beside it.",
)
