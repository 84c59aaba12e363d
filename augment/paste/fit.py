"""How well a place in a ground suits a defect: people see a defect across an edge, in another light or off the part."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.paste.cutouts import Cutout
from augment.paste.photographs import Photograph
from augment.paste.place import Pose, box_of
from defects.masks import Mask
from defects.windows import as_channels

__all__ = ["Surroundings", "mismatch", "surroundings"]

Floats = NDArray[np.float32]

_RING = 8
"""Px around a defect that are compared."""

_LOOKED_AT = 192
"""Px above which a cut-out is made smaller before it is compared."""


class Surroundings:
    """What the pixels around a defect look like.

    Args:
        light: (h, w) luminance in grey levels.
        ring: (h, w) the pixels to look at.
        sigma: px below which structure counts as texture.
    """

    def __init__(self, light: Floats, ring: Mask, sigma: float = 3.0) -> None:
        coarse = cv2.GaussianBlur(light, (0, 0), sigma)
        fine = (light - coarse)[ring]
        self.level = float(light[ring].mean())
        self.texture = float(fine.std())
        self.slope = float(coarse[ring].std())
        self.darkest = float(np.percentile(coarse[ring], 3))
        gx, gy = (np.asarray(cv2.Sobel(coarse, cv2.CV_32F, *d), np.float64)[ring] for d in ((1, 0), (0, 1)))
        gx0, gy0 = (np.asarray(cv2.Sobel(light, cv2.CV_32F, *d), np.float64)[ring] for d in ((1, 0), (0, 1)))
        xx, yy, xy = (gx * gx + gx0 * gx0).mean(), (gy * gy + gy0 * gy0).mean(), (gx * gy + gx0 * gy0).mean()
        total = xx + yy + 1e-6
        # The double angle's vector of the structure tensor: its length is how much the texture has one direction.
        self.direction = np.asarray([(xx - yy) / total, 2 * xy / total])


def surroundings(cutout: Cutout) -> Surroundings:
    """Of a defect where it was found."""
    step = _step(cutout)
    light = as_channels(cutout.patch, 1)[..., 0]
    size = (max(3, light.shape[1] // step), max(3, light.shape[0] // step))
    small = cv2.resize(light, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    mask = cv2.resize(cutout.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return Surroundings(small, _ring(mask, around_only=True))


def mismatch(cutout: Cutout, own: Surroundings, pose: Pose, ground: Photograph) -> float:
    """0 for a place just like the one where the defect was found; infinite for one that is no place for it.

    Args:
        cutout: the defect.
        own: its `surroundings`.
        pose: where it goes.
        ground: the photograph it goes into.
    """
    step = _step(cutout)
    left, top, right, bottom = box_of(cutout, pose, ground.mask.shape, (_RING + 2) * step)
    if right - left < 3 or bottom - top < 3:
        return float("inf")
    size = (max(3, (right - left) // step), max(3, (bottom - top) // step))
    matrix = (pose.matrix - np.asarray([[0, 0, left], [0, 0, top]])) / step
    moved = cv2.warpAffine(cutout.mask.astype(np.uint8), matrix, size) > 0
    cut = slice(top, bottom), slice(left, right)
    light = cv2.resize(ground.light[cut], size, interpolation=cv2.INTER_AREA).astype(np.float32)
    taken, part = (
        cv2.resize(m[cut].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        for m in (ground.mask, ground.region)
    )
    near = cv2.dilate(moved.astype(np.uint8), np.ones((2 * _RING + 1, 2 * _RING + 1), np.uint8)) > 0
    if not moved.any() or (taken & near).any():
        return float("inf")  # nothing of it left, or over a defect that is there already
    if not any(cutout.edges) and not part[moved].all():
        return float("inf")
    there = Surroundings(light, _ring(moved, around_only=bool(moved.mean() > 0.8)))
    u = _turned(own.direction, pose)
    agree = float(np.linalg.norm(u - there.direction))
    return float(
        0.8 * abs(np.log((there.level + 8) / (own.level + 8)))
        + abs(np.log((there.texture + 1) / (own.texture + 1)))
        + max(0.0, float(np.log((there.slope + 4) / (own.slope + 4))))
        + 0.7 * agree
        + 0.5 * abs(float(np.log(pose.scale[0] / pose.scale[1])))
    )


def _step(cutout: Cutout) -> int:
    """Large defects are compared at a coarser scale."""
    return int(1 + max(cutout.mask.shape) // _LOOKED_AT)


def _ring(mask: Mask, *, around_only: bool) -> Mask:
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * _RING + 1, 2 * _RING + 1), np.uint8)) > 0
    ring = near & ~(cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) if around_only else near
    result: Mask = ring if ring.any() else np.ones_like(mask)
    return result


def _turned(direction: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
    """The double-angle vector of a texture after a pose; a flip turns an angle to its negative."""
    x, y = direction
    y = -y if pose.flip[0] != pose.flip[1] else y
    turn = -2 * np.deg2rad(pose.angle)
    return np.asarray([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)])
