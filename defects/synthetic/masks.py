"""Procedural masks of a class: ranges for every value, and one mask from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from defects.masks.width import width as measured_width
from defects.synthetic.shapes import Blob, Mask, Stroke, canvas_for, crack, pits, scratch, spots, threshold

DEFECT_CLASSES = ("crack", "scratch", "pit", "spot")
Region = tuple[float, float, float, float]
WHOLE: Region = (0.0, 0.0, 1.0, 1.0)
_Maker = Callable[[tuple[float, float], float, float, float, np.random.Generator], Sequence[Stroke | Blob]]
_MAKERS: dict[str, _Maker] = {"crack": crack, "scratch": scratch, "pit": pits, "spot": spots}
_CORRECTIONS = 3
_TOLERANCE = 0.04


def size_of(size: int | tuple[int, int]) -> tuple[int, int]:
    """A side or a (height, width) as (height, width).

    Raises:
        ValueError: If a side is under 8 px.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if height < 8 or width < 8:
        raise ValueError(f"expected a mask of at least 8 x 8 px, got {height} x {width}; give a larger size")
    return height, width


def check(class_name: str, count: int, length: float, width: float, orientation: float, position: Region) -> None:
    """Refuses values that no mask can have.

    Raises:
        ValueError: Names the value, what came and what is expected.
    """
    if class_name not in DEFECT_CLASSES:
        raise ValueError(f"expected a class of {', '.join(DEFECT_CLASSES)}, got {class_name!r}; choose one of them")
    if not 1 <= count <= 1000:
        raise ValueError(f"expected a count of 1 to 1000, got {count}; give a smaller number of defects a mask")
    for name, value, least in (("width", width, 1.0), ("length", length, 1.0)):
        if not (math.isfinite(value) and least <= value <= 1e5):
            raise ValueError(f"expected a {name} of at least {least:g} px, got {value:g}; give it in pixels")
    if not math.isfinite(orientation):
        raise ValueError(f"expected an orientation in degrees, got {orientation:g}; 0 is horizontal, 90 vertical")
    left, top, right, bottom = position
    if not (0 <= left <= right <= 1 and 0 <= top <= bottom <= 1):
        raise ValueError(f"expected a position left, top, right, bottom in 0 to 1, got {position}; order its sides")


def draw(
    class_name: str,
    size: int | tuple[int, int],
    rng: np.random.Generator,
    *,
    count: int = 1,
    length: float,
    width: float,
    orientation: float = 0.0,
    position: Region = (0.25, 0.25, 0.75, 0.75),
) -> Mask:
    """Draw a mask.

    Args:
        class_name: One of `DEFECT_CLASSES`.
        size: Side, or (height, width), in pixels.
        rng: Source of all randomness.
        count: Number of defects (of clusters, for pits).
        length: Length of a line, extent of a pit cluster, major diameter of a spot, in pixels.
        width: Mean local width in pixels, at least 1.
        orientation: Degrees from the horizontal, counter-clockwise in the image; each defect differs by a few degrees.
        position: Region of the image, as fractions (left, top, right, bottom), in which the centers lie.

    Returns:
        (height, width) bool, never empty.

    Raises:
        ValueError: If a value is out of its range.
    """
    shape = size_of(size)
    check(class_name, count, length, width, orientation, position)
    left, top, right, bottom = position
    # Centers stay half a width inside the image, so that no mask is empty.
    edge_x, edge_y = min(width / 2, shape[1] / 2) + 1, min(width / 2, shape[0] / 2) + 1
    parts: list[Stroke | Blob] = []
    for index in range(count):
        x = float(np.clip(rng.uniform(left, right) * shape[1], edge_x, max(edge_x, shape[1] - edge_x)))
        y = float(np.clip(rng.uniform(top, bottom) * shape[0], edge_y, max(edge_y, shape[0] - edge_y)))
        tilt = orientation + (rng.normal(0, 8) if count > 1 else 0.0)
        extent = length * (rng.uniform(0.7, 1.2) if index else 1.0)
        parts += _MAKERS[class_name]((x, y), extent, width, tilt, rng)
    return _rendered(parts, shape, width)


def _rendered(parts: Sequence[Stroke | Blob], shape: tuple[int, int], width: float) -> Mask:
    """Renders the parts; corrects their widths until the mask has the requested mean local width."""
    factor, best, least = 1.0, np.zeros(shape, bool), math.inf
    for _ in range(_CORRECTIONS + 1):
        canvas = canvas_for(shape)
        for part in parts:
            part.scaled_width(factor).render(canvas)
        mask = threshold(canvas)
        reached = measured_width(mask)
        error = abs(reached - width)
        if error < least:
            best, least = mask, error
        if error < _TOLERANCE * width:
            break
        factor *= float(np.clip(width / max(reached, 0.5), 0.5, 2.0))
    if not best.any():
        raise AssertionError("a defect centered inside the image left its mask empty")
    return best


Range = tuple[float, float]

POSITIONS: dict[str, Region] = {
    "any": (0.1, 0.1, 0.9, 0.9),
    "center": (0.35, 0.35, 0.65, 0.65),
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
    """The values of one mask; see `draw` for their meaning."""

    class_name: str
    count: int
    length: float
    width: float
    orientation: float
    position: Region

    def draw(self, size: int | tuple[int, int], rng: np.random.Generator) -> Mask:
        """Draw the mask at `size`, bool (height, width)."""
        return draw(
            self.class_name,
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
        class_name: One of `DEFECT_CLASSES`.
        count: Defects a mask.
        length: Pixels.
        width: Pixels, mean local width.
        orientation: Degrees, 0 horizontal, 90 vertical.
        position: Fractions of the image (left, top, right, bottom) within which centers lie.
    """

    class_name: str
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
            check(
                self.class_name,
                self.count[end],
                self.length[end],
                self.width[end],
                self.orientation[end],
                self.position,
            )

    @classmethod
    def typical(cls, class_name: str, size: int | tuple[int, int]) -> ShapeSpec:
        """Typical ranges of a class at an image size.

        Raises:
            ValueError: If the class is unknown or the size too small.
        """
        if class_name not in DEFECT_CLASSES:
            raise ValueError(f"expected a class of {', '.join(DEFECT_CLASSES)}, got {class_name!r}; choose one of them")
        scale = min(size_of(size)) / _TYPICAL_SIDE
        count, length, width = _TYPICAL[class_name]
        return cls(
            class_name=class_name,
            count=count,
            length=(max(1.0, length[0] * scale), max(1.0, length[1] * scale)),
            width=(max(1.0, width[0] * scale), max(1.0, width[1] * scale)),
        )

    def sample(self, rng: np.random.Generator) -> Shape:
        """Draw one mask's values, uniformly in each range."""
        return Shape(
            class_name=self.class_name,
            count=int(rng.integers(self.count[0], self.count[1] + 1)),
            length=float(rng.uniform(*self.length)),
            width=float(rng.uniform(*self.width)),
            orientation=float(rng.uniform(*self.orientation)),
            position=self.position,
        )
