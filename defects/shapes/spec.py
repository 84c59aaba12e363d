"""A specification of masks: a range for every parameter, from which one mask's values are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defects.shapes.draw import KINDS, Region, check, draw, size_of
from defects.shapes.stroke import Mask

Range = tuple[float, float]

POSITIONS: dict[str, Region] = {
    "any": (0.1, 0.1, 0.9, 0.9),
    "centre": (0.35, 0.35, 0.65, 0.65),
    "left": (0.1, 0.1, 0.4, 0.9),
    "right": (0.6, 0.1, 0.9, 0.9),
    "top": (0.1, 0.1, 0.9, 0.4),
    "bottom": (0.1, 0.6, 0.9, 0.9),
}

# Typical ranges on a 128 px image; other sizes are scaled by their shorter side.
_TYPICAL_SIDE = 128
_TYPICAL: dict[str, tuple[tuple[int, int], Range, Range]] = {
    "crack": ((1, 1), (55.0, 125.0), (1.8, 5.5)),
    "scratch": ((1, 2), (60.0, 140.0), (1.3, 3.0)),
    "pit": ((1, 3), (8.0, 40.0), (3.0, 11.0)),
    "spot": ((1, 5), (5.0, 14.0), (4.0, 9.0)),
}


@dataclass(frozen=True)
class Shape:
    """The values one mask is drawn with; see `draw` for their meaning."""

    kind: str
    count: int
    length: float
    width: float
    orientation: float
    position: Region

    def draw(self, size: int | tuple[int, int], rng: np.random.Generator) -> Mask:
        """Draw the mask at `size`, bool (height, width)."""
        return draw(
            self.kind,
            size,
            rng,
            count=self.count,
            length=self.length,
            width=self.width,
            orientation=self.orientation,
            position=self.position,
        )


@dataclass(frozen=True)
class ShapeSpec:
    """Ranges (low, high), both ends possible, for the values of a mask.

    Attributes:
        kind: One of `KINDS`.
        count: Defects a mask.
        length: Pixels.
        width: Pixels, mean local width.
        orientation: Degrees, 0 horizontal, 90 vertical.
        position: Fractions of the image (left, top, right, bottom) within which centres lie.
    """

    kind: str
    count: tuple[int, int]
    length: Range
    width: Range
    orientation: Range = (0.0, 180.0)
    position: Region = (0.2, 0.2, 0.8, 0.8)

    def __post_init__(self) -> None:
        """Check both ends of every range."""
        for name in ("count", "length", "width", "orientation"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"expected {name} as low..high, got {low:g}..{high:g}; swap the two ends")
        for end in (0, 1):
            check(self.kind, self.count[end], self.length[end], self.width[end], self.orientation[end], self.position)

    @classmethod
    def typical(cls, kind: str, size: int | tuple[int, int]) -> ShapeSpec:
        """The ranges that look right for a kind at an image size.

        Raises:
            ValueError: If the kind is unknown or the size too small.
        """
        if kind not in KINDS:
            raise ValueError(f"expected a kind of {', '.join(KINDS)}, got {kind!r}; choose one of them")
        scale = min(size_of(size)) / _TYPICAL_SIDE
        count, length, width = _TYPICAL[kind]
        return cls(
            kind=kind,
            count=count,
            length=(max(1.0, length[0] * scale), max(1.0, length[1] * scale)),
            width=(max(1.0, width[0] * scale), max(1.0, width[1] * scale)),
        )

    def sample(self, rng: np.random.Generator) -> Shape:
        """Draw one mask's values, uniformly in each range."""
        return Shape(
            kind=self.kind,
            count=int(rng.integers(self.count[0], self.count[1] + 1)),
            length=float(rng.uniform(*self.length)),
            width=float(rng.uniform(*self.width)),
            orientation=float(rng.uniform(*self.orientation)),
            position=self.position,
        )
