"""Placement of a cut-out in a background: translated, rotated, scaled and flipped within the part, with a soft edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.pasting.images import Box, Cutout, LoadedImage
from defects.images.decode import as_channels
from defects.masks.width import Mask
from defects.sample import Floats, Image

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """How far a pose may go.

    Attributes:
        rotation: degrees to either side, for defects that reach no edge; others are not rotated.
        scale: smallest and largest factor.
        stretch: largest ratio of the two scales, for defects that span their part.
        unscaled: share of the poses that are only flipped and translated, whose pixels are not resampled.
    """

    rotation: float = 12.0
    scale: tuple[float, float] = (0.75, 1.35)
    stretch: float = 1.5
    unscaled: float = 0.3


@dataclass(frozen=True)
class Pose:
    """From the patch of a cut-out to the background.

    Attributes:
        matrix: (2, 3) affine map of pixel centers.
        angle: degrees.
        scale: factors across and down.
        flip: horizontal and vertical.
    """

    matrix: Array
    angle: float
    scale: tuple[float, float]
    flip: tuple[bool, bool]

    def to_dict(self) -> dict[str, Any]:
        """For the metadata; rounded."""
        return {
            "x": round(float(self.matrix[0, 2]), 2),
            "y": round(float(self.matrix[1, 2]), 2),
            "angle": round(self.angle, 2),
            "scale": [round(self.scale[0], 3), round(self.scale[1], 3)],
            "flip": [bool(self.flip[0]), bool(self.flip[1])],
        }


def propose(cutout: Cutout, part: Box, rng: np.random.Generator, limits: Limits) -> Pose | None:
    """One random pose, or None where the defect does not fit.

    A defect at an edge of its part stays at that edge (at the opposite one when flipped), and one that spans its part
    spans the other.

    Args:
        cutout: what to place.
        part: box of the part in the background.
        rng: seven numbers are sampled from it in any case.
        limits: how far the pose may go.
    """
    draw = rng.random(7)
    flip = bool(draw[0] < 0.5), bool(draw[1] < 0.5)
    left, top, right, bottom = cutout.edges
    ends = [(right, left) if flip[0] else (left, right), (bottom, top) if flip[1] else (top, bottom)]
    free = not any(cutout.edges)
    plain = bool(draw[2] < limits.unscaled)
    angle = 0.0 if plain or not free else float((2 * draw[3] - 1) * limits.rotation)
    low, high = np.log(limits.scale)
    zoom = 1.0 if plain else float(np.exp(low + draw[4] * (high - low)))
    sizes = [(cutout.part[2] - cutout.part[0], part[2] - part[0]), (cutout.part[3] - cutout.part[1], part[3] - part[1])]
    spans = [all(pair) for pair in ends]
    factors = [there / here if span else 0.0 for span, (here, there) in zip(spans, sizes, strict=True)]
    if any(spans):
        zoom = next(factor for factor in factors if factor)
    scale = (factors[0] or zoom, factors[1] or zoom)
    widest = (0.8 * limits.scale[0], 1.25 * limits.scale[1])
    if not all(widest[0] <= s <= widest[1] for s in scale) or max(scale) > limits.stretch * min(scale):
        return None
    matrix = _linear(angle, scale, flip)
    points = matrix @ cutout.hull
    least, most = points.min(axis=1), points.max(axis=1)
    shift = np.zeros(2)
    for axis in (0, 1):
        start, end = part[axis], part[axis + 2] - 1
        room = (end - most[axis]) - (start - least[axis])
        if ends[axis][0] or ends[axis][1]:
            shift[axis] = _anchored(cutout, part, matrix, axis, flip[axis], at_start=ends[axis][0])
        elif room < 0:
            return None
        else:
            shift[axis] = start - least[axis] + draw[5 + axis] * room
    shift = np.rint(shift)
    return Pose(np.concatenate([matrix, shift[:, None]], axis=1), angle, scale, flip)


def warp(cutout: Cutout, pose: Pose, box: Box) -> tuple[NDArray[np.float32], NDArray[np.float32], Mask]:
    """Patch, background level and mask of a cut-out, warped into a box of the background.

    Returns:
        (h, w, C) gray values, (h, w, C) level, (h, w) mask.
    """
    matrix = pose.matrix - np.asarray([[0, 0, box[0]], [0, 0, box[1]]])
    size = (box[2] - box[0], box[3] - box[1])

    def moved(values: NDArray[np.float32], how: int) -> NDArray[np.float32]:
        out = cv2.warpAffine(values, matrix, size, flags=how, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(out, np.float32).reshape(size[1], size[0], -1)

    mask = cv2.warpAffine(cutout.mask.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR)
    patch = np.clip(moved(cutout.patch.astype(np.float32), cv2.INTER_CUBIC), 0, 255)
    return patch, moved(cutout.level, cv2.INTER_LINEAR), np.asarray(mask >= 0.5)


def box_of(cutout: Cutout, pose: Pose, shape: tuple[int, int], margin: int) -> Box:
    """The box in the background that a pasted defect and `margin` px around it take; may be empty."""
    points = pose.matrix[:, :2] @ cutout.hull + pose.matrix[:, 2:]
    (left, top), (right, bottom) = np.floor(points.min(axis=1)) - margin, np.ceil(points.max(axis=1)) + margin + 1
    return max(0, int(left)), max(0, int(top)), min(shape[1], int(right)), min(shape[0], int(bottom))


def _linear(angle: float, scale: tuple[float, float], flip: tuple[bool, bool]) -> Array:
    turn = np.deg2rad(angle)
    rotation = np.asarray([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    signs = [-s if f else s for s, f in zip(scale, flip, strict=True)]
    return np.asarray(rotation @ np.diag(signs))


def _anchored(cutout: Cutout, part: Box, matrix: Array, axis: int, flipped: bool, *, at_start: bool) -> float:
    """The translation that aligns an edge of the cut-out's part with the same edge of the background's."""
    first, last = cutout.part[axis] - cutout.corner[axis], cutout.part[axis + 2] - 1 - cutout.corner[axis]
    edge = (last if flipped else first) if at_start else (first if flipped else last)
    goal = part[axis] if at_start else part[axis + 2] - 1
    return float(goal - matrix[axis, axis] * edge)


_RING = 8
"""Px around a defect that are compared."""

_ANALYSIS_SIDE = 192
"""Px above which a cut-out is compared at a smaller scale."""


class Surroundings:
    """Statistics of the pixels around a defect.

    Args:
        luminance: (h, w) luminance in gray levels.
        ring: (h, w) the pixels that count.
        sigma: px below which structure counts as texture.
    """

    def __init__(self, luminance: Floats, ring: Mask, sigma: float = 3.0) -> None:
        coarse = cv2.GaussianBlur(luminance, (0, 0), sigma)
        fine = (luminance - coarse)[ring]
        self.level = float(luminance[ring].mean())
        self.texture = float(fine.std())
        self.slope = float(coarse[ring].std())
        self.darkest = float(np.percentile(coarse[ring], 3))
        gx, gy = (np.asarray(cv2.Sobel(coarse, cv2.CV_32F, *d), np.float64)[ring] for d in ((1, 0), (0, 1)))
        gx0, gy0 = (np.asarray(cv2.Sobel(luminance, cv2.CV_32F, *d), np.float64)[ring] for d in ((1, 0), (0, 1)))
        xx, yy, xy = (gx * gx + gx0 * gx0).mean(), (gy * gy + gy0 * gy0).mean(), (gx * gy + gx0 * gy0).mean()
        total = xx + yy + 1e-6
        # The double angle's vector of the structure tensor: its length is how much the texture has one direction.
        self.direction = np.asarray([(xx - yy) / total, 2 * xy / total])


def surroundings(cutout: Cutout) -> Surroundings:
    """The surroundings of a defect in its own image."""
    step = _step(cutout)
    luminance = as_channels(cutout.patch, 1)[..., 0]
    size = (max(3, luminance.shape[1] // step), max(3, luminance.shape[0] // step))
    small = cv2.resize(luminance, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    mask = cv2.resize(cutout.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return Surroundings(small, _ring(mask, around_only=True))


def mismatch(cutout: Cutout, reference: Surroundings, pose: Pose, background: LoadedImage) -> float:
    """0 for surroundings equal to the defect's own; infinite where the defect cannot be placed.

    Args:
        cutout: the defect.
        reference: its `surroundings`.
        pose: in the background.
        background: the image to paste into.
    """
    step = _step(cutout)
    left, top, right, bottom = box_of(cutout, pose, background.mask.shape, (_RING + 2) * step)
    if right - left < 3 or bottom - top < 3:
        return float("inf")
    size = (max(3, (right - left) // step), max(3, (bottom - top) // step))
    matrix = (pose.matrix - np.asarray([[0, 0, left], [0, 0, top]])) / step
    moved = cv2.warpAffine(cutout.mask.astype(np.uint8), matrix, size) > 0
    cut = slice(top, bottom), slice(left, right)
    luminance = cv2.resize(background.luminance[cut], size, interpolation=cv2.INTER_AREA).astype(np.float32)
    taken, part = (
        cv2.resize(m[cut].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        for m in (background.mask, background.region)
    )
    near = cv2.dilate(moved.astype(np.uint8), np.ones((2 * _RING + 1, 2 * _RING + 1), np.uint8)) > 0
    if not moved.any() or (taken & near).any():
        return float("inf")  # outside the image, or on a defect of the background
    if not any(cutout.edges) and not part[moved].all():
        return float("inf")
    there = Surroundings(luminance, _ring(moved, around_only=bool(moved.mean() > 0.8)))
    u = _turned(reference.direction, pose)
    agree = float(np.linalg.norm(u - there.direction))
    return float(
        0.8 * abs(np.log((there.level + 8) / (reference.level + 8)))
        + abs(np.log((there.texture + 1) / (reference.texture + 1)))
        + max(0.0, float(np.log((there.slope + 4) / (reference.slope + 4))))
        + 0.7 * agree
        + 0.5 * abs(float(np.log(pose.scale[0] / pose.scale[1])))
    )


def _step(cutout: Cutout) -> int:
    """Large defects are compared at a coarser scale."""
    return int(1 + max(cutout.mask.shape) // _ANALYSIS_SIDE)


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


MARGIN = 1.5
"""Px around a mask in which the defect still counts in full: masks are often a little tight."""


def edge_width(mask: Mask) -> float:
    """Px over which the edge of a defect fades: more for a large one."""
    return float(np.clip(0.12 * np.sqrt(mask.sum()), 2, 8))


def soft_edge(mask: Mask, fade: float) -> Floats:
    """(H, W) share of the defect: 1 within the mask and `MARGIN` px around it, from there to 0 over `fade` px."""
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    t = np.clip((away - MARGIN) / fade, 0, 1)
    return np.asarray(1 - t * t * (3 - 2 * t), np.float32)


def alpha_blend(background: Image, patch: Floats, mask: Mask, fade: float) -> Image:
    """The background with the patch over it, through a soft edge.

    Args:
        background: (H, W, C) uint8.
        patch: (H, W, C) gray values, already of the background's brightness.
        mask: (H, W) the defect; further than `MARGIN + fade` px from it the background comes back bit for bit.
        fade: px.
    """
    share = soft_edge(mask, fade)
    mixed = np.clip(np.rint(background + share[..., None] * (patch - background)), 0, 255).astype(np.uint8)
    result: Image = np.where((share > 0)[..., None], mixed, background)
    return result
