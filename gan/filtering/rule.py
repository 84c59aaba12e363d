"""What an image must reach to be kept, and what it reached."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import UsageError

MIN_LABEL_IOU, MIN_REALISM, TRIES = 0.3, 0.6, 4
MOST_TRIES = 100
TOLERANCE = 0.1
"""A label IoU that misses its aim by no more passes."""


@dataclass(frozen=True)
class Scores:
    """What the judge says of one image, rounded as it is written; None where it was not asked.

    Attributes:
        label_iou: overlap of the written label with what a segmenter of real defects finds in the image.
        realism: 1 where it is as near to the real images as a typical real one of its kind is to those of other parts,
            see `gan.filtering.realism`.
        aim: the overlap that is wanted, see `gan.filtering.difficulty`.
    """

    label_iou: float | None
    realism: float | None
    aim: float | None = None

    def row(self) -> dict[str, Any]:
        """For the manifest; without an aim where there is none."""
        return {name: value for name, value in asdict(self).items() if name != "aim" or value is not None}


@dataclass(frozen=True)
class Rule:
    """What is kept.

    Attributes:
        min_label_iou: 0 asks for none; not looked at where the difficulty is matched.
        min_realism: 0 asks for none.
        tries: candidates for an image at most, the one that would be made without a filter among them.
        keep_best: where no candidate passes, keep the best of them and say so in its row.
        match_difficulty: a label is to be found as well, or as badly, as that of a real defect drawn at random.

    Raises:
        UsageError: a value is out of range, or nothing is asked for.
    """

    min_label_iou: float = MIN_LABEL_IOU
    min_realism: float = MIN_REALISM
    tries: int = TRIES
    keep_best: bool = False
    match_difficulty: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.min_label_iou <= 1:
            raise UsageError(f"--min-label-iou: {self.min_label_iou:g} is out of range; choose 0 (off) to 1")
        if not (math.isfinite(self.min_realism) and self.min_realism >= 0):
            raise UsageError(
                f"--min-realism: {self.min_realism:g} is out of range; choose 0 (off) or more, such as 0.6"
            )
        if not 1 <= self.tries <= MOST_TRIES:
            raise UsageError(f"--tries: {self.tries} candidates for an image; ask for 1 to {MOST_TRIES}")
        if not (self.min_label_iou or self.min_realism or self.match_difficulty):
            raise UsageError(
                "--keep-like: --min-label-iou and --min-realism are both 0, so nothing would be rejected; "
                "raise one of them, or leave --keep-like out"
            )

    @property
    def judges_labels(self) -> bool:
        """Whether a segmenter is needed."""
        return self.match_difficulty or self.min_label_iou > 0

    def failed(self, scores: Scores) -> list[str]:
        """Which scores do not do."""
        return [name for name, share in self._shares(scores).items() if share < 1]

    def worth(self, scores: Scores) -> float:
        """The share of what is asked for that the weaker score reaches; 1 and more pass."""
        return min(self._shares(scores).values())

    def _shares(self, scores: Scores) -> dict[str, float]:
        shares = {}
        if self.match_difficulty:
            missed = round(abs((scores.label_iou or 0.0) - (scores.aim or 0.0)), 4)
            shares["label_iou"] = (1 - missed) / (1 - TOLERANCE)
        elif self.min_label_iou:
            shares["label_iou"] = (scores.label_iou or 0.0) / self.min_label_iou
        if self.min_realism:
            shares["realism"] = (scores.realism or 0.0) / self.min_realism
        return shares

    def describe(self) -> dict[str, Any]:
        """For `request.json`."""
        label = {"match-difficulty": True} if self.match_difficulty else {"min-label-iou": self.min_label_iou}
        return {**label, "min-realism": self.min_realism, "tries": self.tries, "keep-best": self.keep_best}
