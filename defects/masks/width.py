"""The geometry of masks: local width, setting the width, skeletons, resizing.

Width follows the source's "thickness": the mean local width, that is two times the distance transform, read on the
skeleton. Everything here works on `bool` masks of shape (H, W); True marks the defect.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize as _skeletonize

Mask = NDArray[np.bool_]


def skeletonize(mask: Mask) -> Mask:
    """The one-pixel-wide skeleton of a mask."""
    skeleton: Mask = np.asarray(_skeletonize(np.array(mask)), np.bool_)  # type: ignore[no-untyped-call]
    return skeleton


def bounding_box(mask: Mask) -> tuple[int, int, int, int] | None:
    """(x, y, width, height) of the True pixels, or None for an empty mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


def _doubled(mask: Mask, margin: int) -> tuple[Mask, NDArray[np.float32], Mask, tuple[int, int]]:
    """The mask's box plus a margin at twice the scale: (mask, inner distance, skeleton, offset of the crop as (y, x)).

    At twice the scale the distance on the skeleton of a bar of w px is w, for odd and even w alike.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("expected a mask with a defect, got an empty one; check `mask.any()` first")
    x, y, w, h = box
    crop = np.pad(mask[y : y + h, x : x + w], margin)
    big = crop.repeat(2, axis=0).repeat(2, axis=1)
    distance = cv2.distanceTransform(big.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float64)
    # The last bit depends on where the array lies in memory; squared distances are whole numbers, hence the rounding.
    exact = np.sqrt(np.rint(np.square(distance))).astype(np.float32)
    return big, exact, skeletonize(big), (y - margin, x - margin)


def width(mask: Mask) -> float:
    """Mean local width in px (2 x distance transform on the skeleton); 0.0 for an empty mask.

    >>> bar = np.zeros((20, 40), bool); bar[8:12, 4:36] = True
    >>> 3.5 < width(bar) <= 4.0
    True
    """
    if not mask.any():
        return 0.0
    _, distance, skeleton, _ = _doubled(mask, margin=1)
    return float(distance[skeleton].mean(dtype=np.float64))


def set_width(mask: Mask, width_px: float, *, refine: int = 5) -> Mask:
    """Brings a mask to a mean local width of `width_px`, keeping its skeleton, its taper and every part of it.

    Every skeleton point keeps its share of the width: a pixel belongs to the result when its distance to the nearest
    skeleton point is at most that point's radius times a common factor. The factor is corrected `refine` times, since
    the grid and the image's border make the first guess miss.

    Args:
        mask: (H, W); an empty mask comes back empty.
        width_px: the requested mean local width in px, > 0.

    Raises:
        ValueError: when `width_px` is not a positive finite number.
    """
    if not (np.isfinite(width_px) and width_px > 0):
        raise ValueError(f"expected a width in px above 0, got {width_px}; give for example thickness=4px")
    if not mask.any():
        return mask.copy()
    _, radius, skeleton, (top, left) = _doubled(mask, int(np.ceil(width_px)) + 2)
    now = float(radius[skeleton].mean(dtype=np.float64))
    if abs(now - width_px) < 0.05:
        return mask.copy()
    distance, labels = cv2.distanceTransformWithLabels(
        (~skeleton).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    radius_of = np.zeros(int(labels.max()) + 1, np.float32)
    # Side branches end in tips of no width; taken as they are they would leave notches in a wider line.
    spine = skeleton.astype(np.float32)
    kernel, sigma = (0, 0), max(1.0, now)
    smooth = cv2.GaussianBlur(radius * spine, kernel, sigma) / np.maximum(cv2.GaussianBlur(spine, kernel, sigma), 1e-6)
    radius_of[labels[skeleton]] = smooth[skeleton]
    nearest = radius_of[labels]
    height, breadth = mask.shape
    rows = slice(max(0, top), min(height, top + skeleton.shape[0] // 2))
    columns = slice(max(0, left), min(breadth, left + skeleton.shape[1] // 2))
    inner = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))

    count, part_of = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    thin = np.zeros_like(mask)
    halved = np.asarray(skeleton.reshape(skeleton.shape[0] // 2, 2, -1, 2).any(axis=(1, 3)))
    thin[rows, columns] = halved[inner]

    def rendered(factor: float) -> Mask:
        big = (distance <= nearest * factor - 0.5) | skeleton
        share = cv2.resize(big.astype(np.float32), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        result = np.zeros_like(mask)
        result[rows, columns] = share[inner] >= 0.5
        lost = np.bincount(part_of[result], minlength=count) == 0
        if lost[1:].any():  # the skeleton of a few pixels may be less than half of any
            lost[0] = False
            result |= thin & lost[part_of]
        return result

    low, high = 0.0, float("inf")
    # The result's skeleton has side branches that the given one has not, so it measures narrower than factor * now.
    power, factor = 0.8, 1.15 * width_px / now
    before: tuple[float, float] | None = None
    best, error = mask, abs(now - width_px)
    for _ in range(refine + 1):
        result = rendered(factor)
        reached = width(result)
        if abs(reached - width_px) < error:
            best, error = result, abs(reached - width_px)
        if error < 0.03 * width_px:
            break
        low, high = (max(low, factor), high) if reached < width_px else (low, min(high, factor))
        if before is not None and reached != before[1]:
            power = min(1.5, max(0.4, np.log(reached / before[1]) / np.log(factor / before[0])))
        before = factor, reached
        guess = factor * (width_px / reached) ** (1 / power)
        factor = guess if low < guess < high else (low + high) / 2
    return best.copy()


def pad_and_resize(mask: Mask, size: int) -> Mask:
    """Brings a mask of any size and aspect to (size, size): padded with zeros to equal sides, then resized by area.

    The aspect of the defect stays, and nothing vanishes (see `resize_mask`).
    """
    height, breadth = mask.shape
    side = max(height, breadth)
    top, left = (side - height) // 2, (side - breadth) // 2
    padded = np.zeros((side, side), bool)
    padded[top : top + height, left : left + breadth] = mask
    return resize_mask(padded, (size, size))


def resize_mask(mask: Mask, shape: tuple[int, int]) -> Mask:
    """Brings a mask (H, W) to another shape: a pixel is set when at least half of it was; the skeleton stays whole.

    The skeleton is what keeps a thin line whole where its share of a pixel falls below half.
    """
    height, breadth = mask.shape
    if mask.shape == shape or not mask.any():
        return mask.copy() if mask.shape == shape else np.zeros(shape, bool)
    how = cv2.INTER_LINEAR if shape[0] * shape[1] > height * breadth else cv2.INTER_AREA
    result: Mask = cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=how) >= 0.5
    x, y, w, h = bounding_box(mask) or (0, 0, 0, 0)
    ys, xs = np.nonzero(skeletonize(mask[y : y + h, x : x + w]))
    result[_moved(ys + y, height, shape[0]), _moved(xs + x, breadth, shape[1])] = True
    return result


def _moved(at: NDArray[np.int64], old: int, new: int) -> NDArray[np.int64]:
    """Pixel numbers along a side of `old` px, on a side of `new` px: by the pixel's center when enlarged."""
    return (2 * at + 1) * new // (2 * old) if old < new else at * new // old


FARTHEST = 16.0
"""Signed distances are cut off here, px."""


def signed_distance(mask: Mask, scale: float = 1.0) -> NDArray[np.float32]:
    """(H, W) px from the mask's edge to the pixel's center, positive inside; times `scale`, `FARTHEST` at most."""
    inside = cv2.distanceTransform(np.pad(mask, 1, mode="edge").astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    signed = np.where(mask, inside[1:-1, 1:-1] - 0.5, 0.5 - outside)
    return np.clip(signed * scale, -FARTHEST, FARTHEST).astype(np.float32)
