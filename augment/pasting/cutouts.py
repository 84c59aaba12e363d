"""Real defects cut out of their images by their masks, with a margin."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.pasting.images import Box, LoadedImage, edges_reached, part_box
from defects.attributes.appearance import background_level
from defects.masks.width import Mask, bounding_box
from defects.sample import Floats

_LEAST_AREA = 9
"""Specks of fewer px are not worth pasting."""


@dataclass(frozen=True)
class Cutout:
    """One defect with its surroundings.

    Attributes:
        patch: (h, w, C) uint8: the defect's box and a margin, where the image has one.
        mask: (h, w) the defect.
        level: (h, w, C) smooth background level, interpolated under the defect.
        corner: (x, y) of the patch in its image.
        part: box of the part in the image.
        hull: (2, K) x and y of the defect's convex hull in the patch.
        edges: whether the defect reaches its part's left, top, right and bottom edge.
    """

    patch: NDArray[np.uint8]
    mask: Mask
    level: Floats
    corner: tuple[int, int]
    part: Box
    hull: NDArray[np.float64]
    edges: tuple[bool, bool, bool, bool]

    @property
    def area(self) -> int:
        """Of the defect, px."""
        return int(self.mask.sum())


def clusters(mask: Mask) -> list[Mask]:
    """The defects of a mask: components closer than half the size of the largest are one defect.

    Specks are left out: most are annotation errors.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return [mask] if mask.sum() >= _LEAST_AREA else []
    distance = int(np.clip(0.5 * np.sqrt(stats[1:, cv2.CC_STAT_AREA].max()), 4, 40))
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * distance + 1, 2 * distance + 1), np.uint8))
    count, labels = cv2.connectedComponents(near, connectivity=8)
    defects = [mask & (labels == i) for i in range(1, count)]
    return [part for part in defects if part.sum() >= _LEAST_AREA]


def cut_out(loaded: LoadedImage, defect: Mask) -> Cutout:
    """One of the `clusters` of an image, with a margin.

    Raises:
        ValueError: the defect is empty.
    """
    box = bounding_box(defect)
    if box is None:
        raise ValueError("expected a defect, got an empty mask; take one of clusters(mask)")
    x, y, w, h = box
    scale = float(np.sqrt(defect.sum()))
    margin = int(np.clip(scale, 16, 64))
    height, width = defect.shape
    left, top, right, bottom = max(0, x - margin), max(0, y - margin), x + w + margin, y + h + margin
    cut = slice(top, min(height, bottom)), slice(left, min(width, right))
    part = part_box(loaded.region)
    patch, whole = loaded.image[cut], loaded.mask[cut]
    hidden = cv2.dilate(whole.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    sigma = smoothing(scale)
    return Cutout(
        np.ascontiguousarray(patch),
        np.ascontiguousarray(defect[cut]),
        background_level(patch, sigma, hidden),
        (left, top),
        part,
        _hull(defect[cut]),
        edges_reached(defect, part),
    )


def smoothing(scale: float) -> float:
    """Sigma of the background level for a defect of `scale` (root of its area) px."""
    return float(np.clip(0.35 * scale, 4, 24))


def _hull(mask: Mask) -> NDArray[np.float64]:
    points = cv2.findNonZero(mask.astype(np.uint8))
    return np.asarray(cv2.convexHull(points).reshape(-1, 2).T, np.float64)
