"""Inpainting: a defective image as it might look without its defect, the background of a training pair.

Each hole is filled with the piece of surface whose surroundings agree best with the hole's: another place of the same
image, of its mirror images, or of an image of a good part. The piece is matched to the hole's brightness by a
smooth membrane of the difference along its rim (the idea of Poisson image editing, Perez et al. 2003, with the membrane
from pull and push), so that grain and grinding marks are real ones. A residue of the defect would teach a generator to
copy it, so no pixel inside the hole is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.appearance import background_level, luminance
from defects.masks.width import Mask, bounding_box

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

RING = 6
"""Px around a hole by which pieces are compared and matched in brightness."""

COARSE = 16
"""Px that the shorter side of a hole keeps where pieces are searched for, at down to a quarter of the resolution."""

NEIGHBORHOOD = 256
"""Px around a hole in which `inpaint_around` looks for pieces."""

FADE = 1.5
"""Px over which a piece sets in."""


def inpainted(image: Image, hole: Mask, good: Sequence[Image] = ()) -> Image:
    """The image with every connected part of `hole` filled.

    Args:
        image: (H, W, C).
        hole: (H, W) the pixels to replace: the defect with a margin.
        good: Images of good parts at the same scale, of any size, that pieces may come from too.

    Returns:
        (H, W, C); pixels outside `hole` stay as they are.
    """
    result = image.copy()
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8), connectivity=8)
    for number in sorted(range(1, count), key=lambda i: int(stats[i, cv2.CC_STAT_AREA])):
        _fill(result, labels == number, hole, good)
        hole = hole & (labels != number)
    return result


def inpaint_around(image: Image, hole: Mask) -> Image:
    """`inpainted`, of an image of any size: pieces are searched for no further than `NEIGHBORHOOD` px away."""
    box = bounding_box(hole)
    if box is None:
        return image
    x, y, w, h = box
    rows = slice(max(0, y - NEIGHBORHOOD), y + h + NEIGHBORHOOD)
    columns = slice(max(0, x - NEIGHBORHOOD), x + w + NEIGHBORHOOD)
    result = image.copy()
    result[rows, columns] = inpainted(np.ascontiguousarray(image[rows, columns]), hole[rows, columns])
    return result


def _fill(image: Image, part: Mask, hole: Mask, good: Sequence[Image]) -> None:
    """Fills one connected part in place; `hole` are all pixels that are no surface, this part's among them."""
    x, y, w, h = bounding_box(part) or (0, 0, 0, 0)
    height, width = part.shape
    rows = slice(max(0, y - RING), min(height, y + h + RING))
    columns = slice(max(0, x - RING), min(width, x + w + RING))
    inner, target = part[rows, columns], image[rows, columns]
    size = 2 * RING + 1
    near = cv2.dilate(inner.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0
    ring = near & ~hole[rows, columns]
    piece = _best_piece(image, hole, target, near, ring, good)
    if piece is None:
        level = background_level(target, 2.0, inner) if ring.any() else target.astype(np.float32)
        image[rows, columns] = np.where(inner[..., None], np.rint(level).astype(np.uint8), target)
        return
    values = piece.astype(np.float32)
    if ring.any():
        values += background_level(target.astype(np.float32) - values, RING / 2, ~ring)
    depth = cv2.distanceTransform(np.pad(inner, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    share = np.minimum(1, depth / FADE)[..., None] * inner[..., None]
    # Under the fading rim lies the defect's margin, not surface: the level of the rim stands for it.
    under = (
        np.where(inner[..., None], background_level(target, 2.0, hole[rows, columns]), target) if ring.any() else values
    )
    filled = np.clip(np.rint(under + share * (values - under)), 0, 255).astype(np.uint8)
    image[rows, columns] = np.where(inner[..., None], filled, target)


def _best_piece(image: Image, hole: Mask, target: Image, near: Mask, ring: Mask, good: Sequence[Image]) -> Image | None:
    """The piece, of the target's shape, whose pixels under `ring` are nearest to the target's, squared."""
    best: tuple[float, Image] | None = None
    sources = [(image[::v, ::u], hole[::v, ::u]) for v, u in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    for other in good:
        fitted = _at_least(other, target.shape[:2])
        sources.append((fitted, np.zeros(fitted.shape[:2], bool)))
    step = min(4, max(1, min(near.shape) // COARSE))
    sought, weight = _coarse(luminance(target), step), _coarse(ring, step)
    for source, taken in sources:
        if any(a < b for a, b in zip(source.shape, target.shape, strict=True)):
            continue
        cost = _costs(_coarse(luminance(np.ascontiguousarray(source)), step), sought, weight)
        covered = cv2.matchTemplate(_coarse(taken, step), _coarse(near, step), cv2.TM_CCORR)
        cost = np.where(covered > 1e-3, np.inf, cost)
        at = np.unravel_index(int(np.argmin(cost)), cost.shape)
        if np.isfinite(cost[at]) and (best is None or cost[at] < best[0]):
            top, left = (min(int(i) * step, a - b) for i, a, b in zip(at, source.shape, target.shape, strict=False))
            best = float(cost[at]), source[top : top + target.shape[0], left : left + target.shape[1]]
    return None if best is None else best[1]


def _costs(image: Floats, target: Floats, weight: Floats) -> Floats:
    """Squared differences under `weight` of the target at every place of the image."""
    if not weight.any():
        return np.zeros([a - b + 1 for a, b in zip(image.shape, weight.shape, strict=True)], np.float32)
    return np.asarray(cv2.matchTemplate(image, target, cv2.TM_SQDIFF, mask=weight), np.float32)


def _coarse(array: NDArray[Any], step: int) -> Floats:
    """(H, W) as floats, means over `step` x `step` px; rows and columns that are left over are dropped."""
    values = np.ascontiguousarray(array).astype(np.float32)
    if step == 1:
        return values
    height, width = (side // step for side in values.shape)
    values = values[: height * step, : width * step]
    return np.asarray(values.reshape(height, step, width, step).mean(axis=(1, 3), dtype=np.float32))


def _at_least(image: Image, shape: tuple[int, ...]) -> Image:
    """Enlarged where a side is shorter than the shape's."""
    factor = max(1.0, *(need / have for need, have in zip(shape, image.shape[:2], strict=True)))
    if factor == 1.0:
        return image
    height, width = (max(need, round(have * factor)) for need, have in zip(shape, image.shape[:2], strict=True))
    return np.atleast_3d(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)).astype(np.uint8)
