"""What a procedural data set holds: every choice for image number i follows from the plan and i alone."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from defects.mpi.materials import BACKGROUNDS
from defects.mpi.render import MpiImage, render
from defects.shapes import KINDS, ShapeSpec
from engine.errors import UsageError
from engine.seeding import numpy_generator, seed_for

__all__ = ["Choice", "MpiPlan"]

# Crack widths on a 128 px image; other sizes are scaled.
_THICKNESS = (1.8, 8.0)
_SHORTEST_BLOB = 3.0


@dataclass(frozen=True)
class Choice:
    """All that image number `index` is rendered from."""

    index: int
    label: str
    part: int
    background: str
    thickness: float
    brightness: float
    seed: int

    @property
    def name(self) -> str:
        """File name without folder and extension."""
        return f"{self.index:06d}"

    @property
    def group(self) -> str:
        """Images of one part share it."""
        return f"part-{self.part:05d}"


@dataclass(frozen=True)
class MpiPlan:
    """The settings of a data set.

    Attributes:
        size: Side of an image, pixels.
        seed: Of everything.
        good_fraction: Share of images of good parts, met as exactly as whole images allow.
        kinds: Defect kinds, drawn with equal chance; a kind given twice is drawn twice as often.
        thickness: Range of the mean local width, pixels; None takes 1.8 to 8 px at 128 px, scaled with the size.
        brightness: Range of the brightness, within 0 to 1.
        per_part: Images of one part, which share material, texture and group.
    """

    size: int = 128
    seed: int = 0
    good_fraction: float = 0.25
    kinds: tuple[str, ...] = ("crack",)
    thickness: tuple[float, float] | None = None
    brightness: tuple[float, float] = (0.0, 1.0)
    per_part: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot be rendered."""
        if not 64 <= self.size <= 2048:
            raise UsageError(f"size: expected 64 to 2048 px, got {self.size}; 128, 256 and 512 are usual")
        if not 0 <= self.good_fraction <= 1:
            raise UsageError(f"good fraction: expected 0 to 1, got {self.good_fraction:g}; 0.25 is a quarter")
        if not self.kinds or any(kind not in KINDS for kind in self.kinds):
            given = ", ".join(self.kinds) or "none"
            raise UsageError(f"kinds: expected some of {', '.join(KINDS)}, got {given}; separate them by commas")
        low, high = self.brightness
        if not 0 <= low <= high <= 1:
            raise UsageError(f"brightness: expected low..high within 0 to 1, got {low:g}..{high:g}")
        low, high = self.widths
        if not 1 <= low <= high <= self.size / 8:
            raise UsageError(f"thickness: expected low..high within 1 to {self.size // 8} px, got {low:g}..{high:g}")
        if self.per_part < 1:
            raise UsageError(f"images a part: expected at least 1, got {self.per_part}")

    @property
    def widths(self) -> tuple[float, float]:
        """Range of the mean local width in pixels."""
        if self.thickness is not None:
            return self.thickness
        return max(1.2, _THICKNESS[0] * self.size / 128), _THICKNESS[1] * self.size / 128

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)

    def choice(self, index: int) -> Choice:
        """What image number `index` shows."""
        part = index // self.per_part
        rng = numpy_generator(self.seed, "choice", index)
        good = math.floor((index + 1) * self.good_fraction) > math.floor(index * self.good_fraction)
        # Four parts in a row take the four backgrounds in a random order.
        order = numpy_generator(self.seed, "backgrounds", part // len(BACKGROUNDS)).permutation(len(BACKGROUNDS))
        label = self.kinds[int(rng.integers(len(self.kinds)))]
        low, high = self.widths
        if label in ("pit", "spot"):
            low = min(high, max(low, _SHORTEST_BLOB * self.size / 128))
        return Choice(
            index=index,
            label="good" if good else label,
            part=part,
            background=BACKGROUNDS[int(order[part % len(BACKGROUNDS)])],
            thickness=float(rng.uniform(low, high)),
            brightness=float(rng.uniform(*self.brightness)),
            seed=seed_for(self.seed, "scan", index),
        )

    def render(self, choice: Choice) -> MpiImage:
        """The image of a choice."""
        mask = np.zeros((self.size, self.size), bool)
        if choice.label != "good":
            rng = numpy_generator(self.seed, "mask", choice.index)
            mask = self._spec(choice).sample(rng).draw(self.size, rng)
        return render(
            mask,
            thickness=choice.thickness,
            brightness=choice.brightness,
            background=choice.background,
            seed=choice.seed,
            part=seed_for(self.seed, "part", choice.part),
        )

    def _spec(self, choice: Choice) -> ShapeSpec:
        typical = ShapeSpec.typical(choice.label, self.size)
        width, (low, high) = choice.thickness, typical.length
        if choice.label == "crack":
            low = min(max(low, 9 * width), high)
        elif choice.label == "pit":
            low, high = width, max(high, 3 * width)
        elif choice.label == "spot":
            low, high = width, 1.8 * width
        return dataclasses.replace(typical, width=(width, width), length=(low, high), position=(0.18, 0.18, 0.74, 0.82))
