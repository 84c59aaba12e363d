"""What an image must reach to be kept, and what it reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from engine.errors import UsageError

MIN_LABEL_IOU, MIN_REALISM, TRIES = 0.3, 0.6, 4
MOST_TRIES = 100


@dataclass(frozen=True)
class Scores:
    """What the judge says of one image, rounded as it is written; None where it was not asked.

    Attributes:
        label_iou: overlap of the written label with what a segmenter of real defects finds in the image.
        realism: 1 where it is as near to the real images as a typical real one of its kind is to those of other parts,
            see `gan.filter.likeness`.
    """

    label_iou: float | None
    realism: float | None


@dataclass(frozen=True)
class Rule:
    """What is kept.

    Attributes:
        min_label_iou: 0 asks for none.
        min_realism: 0 asks for none.
        tries: candidates for an image at most, the one that would be made without a filter among them.
        keep_best: where no candidate passes, keep the best of them and say so in its row.

    Raises:
        UsageError: a value is out of range, or nothing is asked for.
    """

    min_label_iou: float = MIN_LABEL_IOU
    min_realism: float = MIN_REALISM
    tries: int = TRIES
    keep_best: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.min_label_iou <= 1:
            raise UsageError(f"--min-label-iou: {self.min_label_iou:g} is out of range; choose 0 (off) to 1")
        if not (math.isfinite(self.min_realism) and self.min_realism >= 0):
            raise UsageError(
                f"--min-realism: {self.min_realism:g} is out of range; choose 0 (off) or more, such as 0.6"
            )
        if not 1 <= self.tries <= MOST_TRIES:
            raise UsageError(f"--tries: {self.tries} candidates for an image; ask for 1 to {MOST_TRIES}")
        if not (self.min_label_iou or self.min_realism):
            raise UsageError(
                "--keep-like: --min-label-iou and --min-realism are both 0, so nothing would be rejected; "
                "raise one of them, or leave --keep-like out"
            )

    def failed(self, label_iou: float | None, realism: float | None) -> list[str]:
        """Which scores are too low."""
        bounds = (("label_iou", label_iou, self.min_label_iou), ("realism", realism, self.min_realism))
        return [name for name, score, least in bounds if least and (score is None or score < least)]

    def worth(self, scores: Scores) -> float:
        """The share of what is asked for that the weaker score reaches; 1 and more pass."""
        pairs = ((scores.label_iou, self.min_label_iou), (scores.realism, self.min_realism))
        return min((score or 0.0) / least for score, least in pairs if least)

    def describe(self) -> dict[str, Any]:
        """For `request.json`."""
        return {
            "min-label-iou": self.min_label_iou,
            "min-realism": self.min_realism,
            "tries": self.tries,
            "keep-best": self.keep_best,
        }
