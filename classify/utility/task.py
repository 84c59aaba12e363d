"""The two tasks: what is scored, what it is called, and what an arm must beat."""

from __future__ import annotations

from dataclasses import dataclass, replace

from classify.utility.scores import PRIMARY
from classify.utility.settings import PHOTOGRAPHS, SQUARES

__all__ = ["CLASSIFY", "SEGMENT", "TaskKind"]


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
