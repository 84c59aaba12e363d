"""The square window of a photograph in which a pasted defect is shown."""

from __future__ import annotations

import numpy as np

from defects.masks import Mask, bounding_box

__all__ = ["view_of", "window_at_random"]

_TRIES = 12

_FULL = 0.95
"""A window with a larger share of defect shows too little of the ground."""


def view_of(pasted: Mask, own: Mask, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a window of `size` px that holds the pasted defect, not always in its middle.

    Of a few windows, the one that shows least of the defects that the ground had before is taken, and of a defect
    larger than the window one that shows its edge.

    Args:
        pasted: (H, W), both sides at least `size`; not empty.
        own: (H, W) defects of the ground.
        size: px.
        rng: draws the window.
    """
    height, breadth = pasted.shape
    x, y, w, h = bounding_box(pasted) or (0, 0, breadth, height)
    best, least = (slice(0, size), slice(0, size)), float("inf")
    for across, down in rng.random((_TRIES, 2)):
        left = _start(x, w, breadth, size, float(across))
        top = _start(y, h, height, size, float(down))
        cut = slice(top, top + size), slice(left, left + size)
        seen = float(own[cut].sum()) + size * size * bool(pasted[cut].mean() > _FULL)
        if seen < least:
            best, least = cut, seen
        if not seen:
            break
    return best


def window_at_random(own: Mask, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of any window of `size` px; of a few, the one that shows least of the ground's own defects."""
    best, least = (slice(0, size), slice(0, size)), float("inf")
    for across, down in rng.random((_TRIES, 2)):
        top, left = (int(s * (side - size + 1)) for s, side in zip((down, across), own.shape, strict=True))
        cut = slice(top, top + size), slice(left, left + size)
        seen = float(own[cut].sum())
        if seen < least:
            best, least = cut, seen
    return best


def _start(at: int, length: int, side: int, size: int, share: float) -> int:
    """Where a window begins so that it holds the defect with a little room, or lies across an end of a larger one."""
    if length > size:
        start = at - share * size if share < 0.5 else at + length - size + (share - 0.5) * size
        return int(np.clip(round(start), 0, side - size))
    room = min((size - length) // 2, size // 8)
    low, high = at + length + room - size, at - room
    return int(np.clip(round(low + share * (high - low)), 0, side - size))
