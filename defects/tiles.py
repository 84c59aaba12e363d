"""Sliding windows over a photograph: where they lie, which are defective, and how their maps become one again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from defects.masks import Mask
from engine.errors import DataError

__all__ = ["Box", "TileRule", "boxes", "is_defective", "stitch"]

Box = tuple[int, int, int, int]
"""(x, y, width, height) in px of the photograph."""


@dataclass(frozen=True)
class TileRule:
    """How photographs are tiled and tiles are labelled.

    Attributes:
        side: of a tile, px.
        overlap: of neighbours, px.
        pixels: a tile is defective from so many defective pixels on.
        share: and from this share of its pixels on, rounded down to whole pixels as the source does.

    Raises:
        ValueError: the overlap is not below the side, or nothing would be needed to be defective.
    """

    side: int
    overlap: int = 0
    pixels: int = 1
    share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.side:
            raise ValueError(f"expected an overlap from 0 to below the side {self.side}, got {self.overlap}")
        if self.pixels < 1 or not 0 <= self.share <= 1:
            raise ValueError(f"expected at least 1 px and a share in 0..1, got {self.pixels} and {self.share}")


def boxes(height: int, width: int, rule: TileRule, *, where: str = "image") -> list[Box]:
    """Tiles that cover a photograph, row by row; the last of a row or column is moved back to end at the border.

    >>> [box[0] for box in boxes(384, 900, TileRule(384, 128))]
    [0, 256, 512, 516]

    Raises:
        DataError: the photograph is smaller than a tile; `where` names it.
    """
    if min(height, width) < rule.side:
        raise DataError(
            f"{where}: {width} x {height} px is smaller than a tile of {rule.side} px; choose a smaller tile, or leave "
            "the image out"
        )
    return [(x, y, rule.side, rule.side) for y in _starts(height, rule) for x in _starts(width, rule)]


def is_defective(mask: Mask, rule: TileRule) -> bool:
    """Whether a tile with this mask (side, side) counts as defective."""
    return int(mask.sum()) >= max(rule.pixels, int(rule.share * mask.size))


def stitch(maps: Sequence[NDArray[np.floating]], places: Sequence[Box], shape: tuple[int, int]) -> NDArray[np.float32]:
    """The map of a photograph (H, W) from those of its tiles, each (height, width) of its box; overlaps are averaged.

    Raises:
        ValueError: a map has not the shape of its box, or the counts differ.
    """
    if len(maps) != len(places):
        raise ValueError(f"expected one map a box, got {len(maps)} maps and {len(places)} boxes")
    total = np.zeros(shape, np.float32)
    count = np.zeros(shape, np.float32)
    for part, (x, y, width, height) in zip(maps, places, strict=True):
        if part.shape != (height, width):
            raise ValueError(f"expected a map of {(height, width)}, got {part.shape}; enlarge it to its tile first")
        total[y : y + height, x : x + width] += part
        count[y : y + height, x : x + width] += 1
    return np.divide(total, np.maximum(count, 1), dtype=np.float32)


def _starts(length: int, rule: TileRule) -> list[int]:
    step = rule.side - rule.overlap
    last = length - rule.side
    return [*range(0, last, step), last]
