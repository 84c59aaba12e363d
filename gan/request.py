"""What a user asks `gen-defects` for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from defects.guide_request import GuideRequest, Interval, Keyword
from defects.images import Format
from defects.sample import GOOD
from engine.errors import UsageError

LABELS = ("mask", "coco", "yolo", "labelme")
FORMATS = ("png", "jpg", "webp")
GUIDE_MODES = ("grid", "draw")
SIDES = (16, 4096)
MOST = 10**9


@dataclass(frozen=True)
class Request:
    """Everything that decides the bytes, apart from masks and generator.

    Attributes:
        guide: as typed, see `defects.guide_request.parse_guide`.
        num: images for each mask and, in `grid` mode, for each cell of the guide's grid.
        size: side of the written images in px; None for the generator's own.
        seed: of noise and of drawn guide values.
        format: of the images; label masks are always PNG.
        labels: any of `LABELS`; masks are always written.
        guide_mode: `grid` makes every cell of the guide's grid for every mask, `draw` one drawn cell for each image.
        same_noise: image number i has the same noise for every mask and every cell.
        label: name of the defect; empty for the kind guide, else the mask's folder, else the generator's only kind.

    Raises:
        UsageError: a value is unknown or out of range.
    """

    guide: str = ""
    num: int = 1
    size: int | None = None
    seed: int = 0
    format: Format = "png"
    labels: tuple[str, ...] = ("mask",)
    guide_mode: str = "grid"
    same_noise: bool = False
    label: str = ""

    def __post_init__(self) -> None:
        for flag, value, known in (
            *(("--labels", name, LABELS) for name in self.labels),
            ("--format", self.format, FORMATS),
            ("--guide-mode", self.guide_mode, GUIDE_MODES),
        ):
            if value not in known:
                raise UsageError(f"{flag}: {value!r} is unknown; choose from {', '.join(known)}")
        if self.label.strip().casefold() == GOOD:
            raise UsageError(f"--label: {self.label!r} names parts without a defect; choose another name")
        if self.label and not (self.label.strip() and self.label.isprintable()):
            raise UsageError(f"--label: {self.label!r} is blank or not printable; choose another name")
        if not 1 <= self.num <= MOST:
            raise UsageError(f"--num: {self.num} images of a mask; ask for 1 to {MOST}")
        if self.size is not None and not SIDES[0] <= self.size <= SIDES[1]:
            raise UsageError(f"--size: {self.size} px is out of range; choose {SIDES[0]} to {SIDES[1]}")

    def describe(self, guide: GuideRequest, size: int) -> dict[str, Any]:
        """The request with every default filled in, by flag name, for `request.json`."""
        return {
            "guide": {name: "|".join(_text(choice) for choice in row) for name, row in guide.choices.items()},
            "guide-mode": self.guide_mode,
            "num": self.num,
            "size": size,
            "seed": self.seed,
            "format": self.format,
            "labels": [name for name in LABELS if name in self.labels or name == "mask"],
            "same-noise": self.same_noise,
            "label": self.label,
        }


def _text(choice: object) -> str:
    if isinstance(choice, Keyword):
        return choice.word
    return f"{choice.low}..{choice.high}" if isinstance(choice, Interval) else str(choice)
