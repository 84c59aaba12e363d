"""The ground that a defect lies on, as far as its surroundings tell: how bright and how rough it is, and what
lies beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from defects.guides import luminance, ring_in_box
from defects.masks import Mask, bounding_box


class Setting(NamedTuple):
    """Where in its photograph a defect lies, and what lies on its four sides.

    `x`, `y`: share of the free room to its left and above it, 0..1; 0 at an edge, 1 at the opposite one. `above`,
    `right`, `below`, `left`: mean luminance of that quarter of the ring less that of the whole ring; 0 where the
    photograph ends. A break lies at the edge of a part: on one side of it there is none.
    """

    x: float
    y: float
    above: float
    right: float
    below: float
    left: float


class Ground(NamedTuple):
    """Mean and standard deviation of the luminance (0..1) of a ring around a mask, and its setting, where known."""

    level: float
    grain: float
    setting: Setting | None = None

    def numbers(self) -> list[float]:
        """All of them in a row, as a checkpoint keeps them."""
        return [self.level, self.grain, *(self.setting or ())]

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Ground:
        """The ground of such a row.

        Raises:
            ValueError: it has other than 2 or 8 finite numbers, or one out of range.

        >>> Ground.of([0.5, 0.1]).numbers()
        [0.5, 0.1]
        """
        if len(numbers) not in (2, 2 + len(Setting._fields)):
            raise ValueError(f"expected a ground of 2 or 8 numbers, got {len(numbers)}")
        level, grain, *rest = (float(number) for number in numbers)
        shares, sides = [level, grain, *rest[:2]], rest[2:]
        if not (all(0 <= share <= 1 for share in shares) and all(-1 <= side <= 1 for side in sides)):
            raise ValueError(f"expected a ground of numbers in 0..1 and sides in -1..1, got {list(numbers)}")
        return cls(level, grain, Setting(*rest) if rest else None)


def ground_around(image: NDArray[np.uint8], mask: Mask, radius: int) -> Ground:
    """The ground around a mask (H, W) in an image (H, W, C); of all that is not the mask where it has no ring.

    Args:
        image: With or without its defect, which is not looked at.
        mask: Not empty.
        radius: Of the ring, px; see `defects.guides.ring`.

    Raises:
        ValueError: for an empty mask.
    """
    cut, around = ring_in_box(mask, radius)
    if not around.any():
        cut, around = (slice(0, None), slice(0, None)), ~mask if not mask.all() else mask
    light = luminance(np.ascontiguousarray(image[cut]))
    x, y, w, h = bounding_box(mask) or (0, 0, 1, 1)
    room = mask.shape[1] - w, mask.shape[0] - h
    place = [at / free if free else 0.5 for at, free in zip((x, y), room, strict=True)]
    rows, columns = np.nonzero(around)
    values = light[around]
    level = float(values.mean(dtype=np.float64))
    rows, columns = rows + cut[0].start, columns + cut[1].start
    over, right = _beyond(rows, y, h), _beyond(columns, x, w)
    upright = np.abs(over) > np.abs(right)
    beside = (over != 0) | (right != 0)  # what lies in the box itself, as within a ring, is on no side of it
    quarters = (
        upright & (over < 0),
        beside & ~upright & (right > 0),
        upright & (over > 0),
        beside & ~upright & (right < 0),
    )
    sides = [float(values[part].mean(dtype=np.float64)) - level if part.any() else 0.0 for part in quarters]
    return Ground(level, float(values.std(dtype=np.float64)), Setting(*place, *sides))


def _beyond(at: NDArray[np.intp], first: int, length: int) -> NDArray[np.intp]:
    """By how many px a row or column lies before (less than 0) or behind a box; 0 inside."""
    return np.minimum(at - first, 0) + np.maximum(at - (first + length - 1), 0)
