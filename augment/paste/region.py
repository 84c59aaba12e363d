"""Where the part is in a photograph, and which of its edges a defect reaches."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.masks import Mask, bounding_box

__all__ = ["Box", "edges_reached", "part_box", "part_region"]

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px; right and bottom are the first px outside."""

_DARK = 0.3
"""Strips darker than this share of the median luminance, reaching the picture's border, are not the part."""

_LOOKED_AT = 512

_NEAR, _NEAR_LARGE = 0.02, 0.07
"""A defect nearer to the part's edge than this share of its side reaches it; one that spans the side may be further."""


def part_region(light: NDArray[np.uint8]) -> Mask:
    """(H, W) True where the part is: all but dark strips and corners along the border of the picture.

    A picture that would be mostly dark is taken as part throughout.

    Args:
        light: (H, W) luminance; looked at no larger than 512 px.
    """
    height, breadth = light.shape
    zoom = min(1.0, _LOOKED_AT / max(height, breadth))
    small = (max(1, round(breadth * zoom)), max(1, round(height * zoom)))
    light = cv2.blur(cv2.resize(light, small, interpolation=cv2.INTER_AREA), (5, 5)).astype(np.uint8)
    dark = (light < _DARK * float(np.median(light))).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark, connectivity=4)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.isin(labels, np.unique(border[border > 0]))
    outside = cv2.dilate(outside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if outside.mean() >= 0.5:
        outside = np.zeros_like(outside)
    region: Mask = cv2.resize(outside.astype(np.uint8), (breadth, height), interpolation=cv2.INTER_NEAREST) == 0
    return region


def part_box(region: Mask) -> Box:
    """The rows and columns that are at least half part."""
    rows, columns = np.flatnonzero(region.mean(axis=1) >= 0.5), np.flatnonzero(region.mean(axis=0) >= 0.5)
    if not rows.size or not columns.size:
        return 0, 0, region.shape[1], region.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def edges_reached(mask: Mask, part: Box) -> tuple[bool, bool, bool, bool]:
    """Whether a defect reaches the left, top, right and bottom edge of its part."""
    box = bounding_box(mask)
    if box is None:
        return False, False, False, False
    x, y, w, h = box
    left, top, right, bottom = part
    across, down = _reach(w, right - left), _reach(h, bottom - top)
    return x <= left + across, y <= top + down, x + w >= right - across, y + h >= bottom - down


def _reach(extent: int, side: int) -> float:
    share = min(1.0, extent / max(1, side))
    return max(2.0, side * (_NEAR + (_NEAR_LARGE - _NEAR) * share**2))
