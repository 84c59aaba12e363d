"""The rule of a filter: what an image must reach to pass, and what it reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from engine.errors import UsageError

MIN_LABEL_IOU, MIN_REALISM, MAX_ATTEMPTS = 0.3, 0.6, 4
LARGEST_MAX_ATTEMPTS = 100
TOLERANCE = 0.1
"""A label IoU that misses its target by no more passes."""


@dataclass(frozen=True)
class Scores:
    """The scores of one image, rounded as they are written; None where one is not needed.

    Attributes:
        label_iou: Overlap of the written label with the prediction of a segmenter of real defects.
        realism: 1 where it is as near to the real images as a typical real one of its class is to those of other parts,
            see `gan.filtering.realism`.
        target: The label IoU of a real defect to be matched, see `gan.filtering.difficulty`.
    """

    label_iou: float | None
    realism: float | None
    target: float | None = None

    def row(self) -> dict[str, Any]:
        """For the manifest; without a target where there is none."""
        target = {} if self.target is None else {"aim": self.target}
        return {"label_iou": self.label_iou, "realism": self.realism} | target


@dataclass(frozen=True)
class Rule:
    """What passes.

    Attributes:
        min_label_iou: 0 requires none; ignored where the difficulty is matched.
        min_realism: 0 requires none.
        max_attempts: Candidates for an image at most, the one generated without a filter among them.
        write_best: Where no candidate passes, the best of them is written and marked in its row.
        match_difficulty: A label is to be found as well, or as badly, as that of a sampled real defect.

    Raises:
        UsageError: A value is out of range, or nothing is required.
    """

    min_label_iou: float = MIN_LABEL_IOU
    min_realism: float = MIN_REALISM
    max_attempts: int = MAX_ATTEMPTS
    write_best: bool = False
    match_difficulty: bool = False

    def __post_init__(self) -> None:
        code = "E-filter-range"
        if not 0 <= self.min_label_iou <= 1:
            raise UsageError(f"--min-label-iou: {self.min_label_iou:g} is out of range; choose 0 (off) to 1", code=code)
        if not (math.isfinite(self.min_realism) and self.min_realism >= 0):
            raise UsageError(
                f"--min-realism: {self.min_realism:g} is out of range; choose 0 (off) or more, such as 0.6", code=code
            )
        if not 1 <= self.max_attempts <= LARGEST_MAX_ATTEMPTS:
            raise UsageError(
                f"--max-attempts: {self.max_attempts} candidates for an image; give 1 to {LARGEST_MAX_ATTEMPTS}",
                code=code,
            )
        if not (self.min_label_iou or self.min_realism or self.match_difficulty):
            raise UsageError(
                "--filter-with: --min-label-iou and --min-realism are both 0, so nothing would be rejected; "
                "raise one of them, or leave --filter-with out",
                code="E-filter-nothing-required",
            )

    @property
    def scores_labels(self) -> bool:
        """Whether a segmenter is needed."""
        return self.match_difficulty or self.min_label_iou > 0

    def failed(self, scores: Scores) -> list[str]:
        """Which scores are too low."""
        return [name for name, share in self._shares(scores).items() if share < 1]

    def worth(self, scores: Scores) -> float:
        """The share of the required value that the weaker score reaches; 1 and more pass."""
        return min(self._shares(scores).values())

    def _shares(self, scores: Scores) -> dict[str, float]:
        shares = {}
        if self.match_difficulty:
            missed = round(abs((scores.label_iou or 0.0) - (scores.target or 0.0)), 4)
            shares["label_iou"] = (1 - missed) / (1 - TOLERANCE)
        elif self.min_label_iou:
            shares["label_iou"] = (scores.label_iou or 0.0) / self.min_label_iou
        if self.min_realism:
            shares["realism"] = (scores.realism or 0.0) / self.min_realism
        return shares

    def describe(self) -> dict[str, Any]:
        """For `request.json`."""
        label = {"match-difficulty": True} if self.match_difficulty else {"min-label-iou": self.min_label_iou}
        return {**label, "min-realism": self.min_realism, "tries": self.max_attempts, "keep-best": self.write_best}
