"""Appearance: brightness and local contrast of a defect, statistics and level of the background around it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.masks.width import Mask, bounding_box
from defects.sample import Floats

if TYPE_CHECKING:
    from torch import Tensor

REC_601 = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance."""

LEAST_RING = 0.2
"""A ring of fewer px than this share of the mask's says little of its brightness."""


def luminance(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rec. 601 luminance in 0..1, shape (H, W), of an image (H, W, 1 or 3)."""
    return gray_levels(image) / np.float32(255)


def gray_levels(image: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    """The same in 0..255, of an image of whole or of real gray levels."""
    gray = image[..., 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(gray, np.float32)


def ring(mask: Mask, radius: int) -> Mask:
    """The pixels from 2 px to `radius` + 2 px around a mask: the surroundings that brightness is measured against."""
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    around: Mask = (cv2.dilate(near, _disc(radius)) > 0) & (near == 0)
    return around


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def ring_radius(side: int) -> int:
    """Px around a defect by which its brightness is measured, in images whose longer side has so many px."""
    return max(3, round(0.04 * side))


def ring_in_box(mask: Mask, radius: int) -> tuple[tuple[slice, slice], Mask]:
    """Rows and columns around a mask (H, W) that hold its `ring`, and the ring there: far quicker than the whole of it.

    Raises:
        ValueError: for an empty mask.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("expected a mask with a defect, got an empty one; it has no surroundings")
    x, y, w, h = box
    margin = radius + 3
    cut = slice(max(0, y - margin), y + h + margin), slice(max(0, x - margin), x + w + margin)
    return cut, ring(mask[cut], radius)


def brightness(image: NDArray[np.uint8], mask: Mask, radius: int | None = None) -> float:
    """Mean luminance inside the mask minus that of the ring around it, -1..1; negative for dark defects.

    Where the mask leaves no ring, all other pixels take its place; where it leaves none at all, 0.5 does.

    Args:
        image: (H, W, C).
        mask: (H, W), not empty.
        radius: Of the ring, px; None for `ring_radius` of the longer side.

    Raises:
        ValueError: for an empty mask.
    """
    return _brightness(image, mask, *ring_in_box(mask, radius or ring_radius(max(mask.shape))))


def reliable_brightness(image: NDArray[np.uint8], mask: Mask, radius: int) -> tuple[float, bool]:
    """`brightness`, and whether the ring is large enough to rely on it; (0, False) for an empty mask."""
    if not mask.any():
        return 0.0, False
    cut, around = ring_in_box(mask, radius)
    enough = around.sum() > max(8, LEAST_RING * min(int(mask.sum()), 40 * radius))
    return _brightness(image, mask, cut, around), bool(enough)


def _brightness(image: NDArray[np.uint8], mask: Mask, cut: tuple[slice, slice], around: Mask) -> float:
    if around.any():
        image, mask = image[cut], mask[cut]
    else:
        around = ~mask
    light = luminance(np.ascontiguousarray(image))
    outside = light[around].mean(dtype=np.float64) if around.any() else 0.5
    return float(light[mask].mean(dtype=np.float64) - outside)


def brightness_tensor(images: Tensor, masks: Tensor, radius: int) -> Tensor:
    """The same as a differentiable function of a batch: (N,), 0 for an empty mask.

    Args:
        images: (N, C, H, W) in 0..1, C 1 or 3.
        masks: (N, 1, H, W) in {0, 1}.
        radius: `ring_radius` of the images' longer side, px.
    """
    import torch
    import torch.nn.functional as F

    light = images.float()
    if light.shape[1] == 3:
        light = (light * light.new_tensor(REC_601).view(1, 3, 1, 1)).sum(1, keepdim=True)
    masks = masks.float()
    near = F.max_pool2d(masks, 5, stride=1, padding=2)
    disc = torch.from_numpy(_disc(radius)).to(near)[None, None]
    around = ((F.conv2d(near, disc, padding=radius) > 0.5) & (near < 0.5)).float()
    without_ring = around.sum((1, 2, 3), keepdim=True) == 0
    around = torch.where(without_ring, 1 - masks, around)
    inside_count, around_count = masks.sum((1, 2, 3)), around.sum((1, 2, 3))
    inside = (light * masks).sum((1, 2, 3)) / inside_count.clamp_min(1)
    outside = (light * around).sum((1, 2, 3)) / around_count.clamp_min(1)
    outside = torch.where(around_count > 0, outside, torch.full_like(outside, 0.5))
    return torch.where(inside_count > 0, inside - outside, torch.zeros_like(inside))


class Setting(NamedTuple):
    """Where in its image a defect lies, and what lies on its four sides.

    `x`, `y`: share of the free room to its left and above it, 0..1; 0 at an edge, 1 at the opposite one. `above`,
    `right`, `below`, `left`: mean luminance of that quarter of the ring less that of the whole ring; 0 where the
    image ends. A break lies at the edge of a part: on one side of it there is none.
    """

    x: float
    y: float
    above: float
    right: float
    below: float
    left: float


class BackgroundStats(NamedTuple):
    """Mean and standard deviation of the luminance (0..1) of a ring around a mask, and its setting, where known."""

    level: float
    grain: float
    setting: Setting | None = None

    def numbers(self) -> list[float]:
        """All of them in a row, as a checkpoint keeps them."""
        return [self.level, self.grain, *(self.setting or ())]

    @classmethod
    def of(cls, numbers: Sequence[float]) -> BackgroundStats:
        """Reads such a row.

        Raises:
            ValueError: it has other than 2 or 8 finite numbers, or one out of range.

        >>> BackgroundStats.of([0.5, 0.1]).numbers()
        [0.5, 0.1]
        """
        if len(numbers) not in (2, 2 + len(Setting._fields)):
            raise ValueError(f"expected background statistics of 2 or 8 numbers, got {len(numbers)}")
        level, grain, *rest = (float(number) for number in numbers)
        shares, sides = [level, grain, *rest[:2]], rest[2:]
        if not (all(0 <= share <= 1 for share in shares) and all(-1 <= side <= 1 for side in sides)):
            raise ValueError(f"expected background statistics in 0..1 and sides in -1..1, got {list(numbers)}")
        return cls(level, grain, Setting(*rest) if rest else None)


def background_around(image: NDArray[np.uint8], mask: Mask, radius: int) -> BackgroundStats:
    """Statistics of the background around a mask; of all that is not the mask where it has no ring.

    Args:
        image: (H, W, C), with or without its defect, which is not looked at.
        mask: (H, W), not empty.
        radius: Of the ring, px; see `ring`.

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
    outside = (over != 0) | (right != 0)  # what lies in the box itself, as within a ring, is on no side of it
    quarters = (
        upright & (over < 0),
        outside & ~upright & (right > 0),
        upright & (over > 0),
        outside & ~upright & (right < 0),
    )
    sides = [float(values[part].mean(dtype=np.float64)) - level if part.any() else 0.0 for part in quarters]
    return BackgroundStats(level, float(values.std(dtype=np.float64)), Setting(*place, *sides))


def _beyond(at: NDArray[np.intp], first: int, length: int) -> NDArray[np.intp]:
    """By how many px a row or column lies before (less than 0) or behind a box; 0 inside."""
    return np.minimum(at - first, 0) + np.maximum(at - (first + length - 1), 0)


_OFFSET = 8.0
"""Gray levels added before a ratio is taken, so that noise in the dark is not blown up."""

_BRIGHTEST = 2.5
"""A pixel at most this many times as bright as its background."""


def background_level(image: NDArray[np.uint8] | Floats, sigma: float, defect: Mask | None = None) -> Floats:
    """(H, W, C) smooth level of an image; under `defect` it is filled in from around it.

    Filling is by pull and push (Gortler et al., The Lumigraph, 1996): means of the known pixels at ever
    coarser scales, taken where the finer one knows nothing.

    Args:
        image: (H, W, C).
        sigma: of the smoothing, px.
        defect: (H, W) pixels not to look at.
    """
    values = np.atleast_3d(image.astype(np.float32))
    if defect is not None and defect.any() and not defect.all():
        values = _filled(values, (~defect).astype(np.float32))
    return _blur(values, sigma)


def matched(patch: NDArray[np.uint8] | Floats, level: Floats, background: Floats) -> Floats:
    """A patch as it would look on another background: its ratio to its own level, times the other.

    Args:
        patch: (H, W, C) gray values.
        level: (H, W, C) background level of the patch.
        background: (H, W, C) background level where it goes.
    """
    ratio = (np.atleast_3d(patch).astype(np.float32) + _OFFSET) / (level + _OFFSET)
    return np.asarray(np.clip(np.minimum(ratio, _BRIGHTEST) * (background + _OFFSET) - _OFFSET, 0, 255), np.float32)


def _filled(values: Floats, weight: Floats) -> Floats:
    if min(weight.shape) <= 2 or bool((weight > 0.99).all()):
        total = max(float(weight.sum()), 1e-6)
        mean = (values * weight[..., None]).sum(axis=(0, 1)) / total
        return np.asarray(values * weight[..., None] + mean * (1 - weight[..., None]), np.float32)
    height, breadth = weight.shape
    half = ((breadth + 1) // 2, (height + 1) // 2)
    small_weight = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
    small = np.atleast_3d(cv2.resize(values * weight[..., None], half, interpolation=cv2.INTER_AREA))
    small = small.reshape(*small_weight.shape, -1) / np.maximum(small_weight, 1e-6)[..., None]
    coarse = _filled(small.astype(np.float32), np.minimum(1, 2 * small_weight).astype(np.float32))
    up = cv2.resize(coarse, (breadth, height), interpolation=cv2.INTER_LINEAR).reshape(values.shape)
    return np.asarray(values * weight[..., None] + up * (1 - weight[..., None]), np.float32)


def _blur(values: Floats, sigma: float) -> Floats:
    """Gaussian, of an image that is downscaled first where sigma is large."""
    height, breadth, channels = values.shape
    factor = max(1, int(sigma // 3))
    if factor > 1 and min(height, breadth) >= 4 * factor:
        shape = (max(2, breadth // factor), max(2, height // factor))
        small = cv2.GaussianBlur(cv2.resize(values, shape, interpolation=cv2.INTER_AREA), (0, 0), sigma / factor)
        big = cv2.resize(small, (breadth, height), interpolation=cv2.INTER_LINEAR)
    else:
        big = cv2.GaussianBlur(values, (0, 0), sigma)
    return np.asarray(big, np.float32).reshape(height, breadth, channels)


SIGMAS = (1.5, 6.0, 24.0)
"""Standard deviations of the Gaussians that part the bands, px: the first band is finer than the first of them, the
others lie between one and the next."""

LocalContrast = tuple[float, ...]
"""Standard deviation of the luminance (0..1) within a defect in each band, finest first."""


def local_contrast(image: NDArray[np.uint8], mask: Mask) -> LocalContrast:
    """The local contrast of a defect.

    Its brightness against the surroundings does not count, nor does luminance that changes slowly.

    Args:
        image: (H, W, C).
        mask: (H, W), not empty.

    Raises:
        ValueError: for an empty mask.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("expected a mask with a defect, got an empty one; it has no local contrast")
    x, y, w, h = box
    cut = slice(y, y + h), slice(x, x + w)
    part, light = mask[cut], luminance(np.ascontiguousarray(image[cut]))
    return tuple(float(np.sqrt(np.mean(np.square(band[part], dtype=np.float64)))) for band in bands(light, part))


def local_contrast_of(numbers: Sequence[float]) -> LocalContrast:
    """Reads a row of a checkpoint.

    Raises:
        ValueError: it has another number of bands, or one out of range.

    >>> local_contrast_of([0.02, 0.05, 0.01])
    (0.02, 0.05, 0.01)
    """
    known = isinstance(numbers, list | tuple) and all(type(number) in (int, float) for number in numbers)
    if not known or len(numbers) != len(SIGMAS) or not all(0 <= number <= 1 for number in numbers):
        raise ValueError(f"expected local contrast of {len(SIGMAS)} numbers in 0..1, got {numbers!r:.60}")
    return tuple(float(number) for number in numbers)


def bands(values: Floats, mask: Mask) -> list[Floats]:
    """Differences of Gaussian means between neighboring `SIGMAS`, over the mask only.

    Args:
        values: (H, W).
        mask: (H, W); nothing outside it is looked at.
    """
    part = mask.astype(np.float32)
    blurred = [values, *(_mean_nearby(values, part, sigma) for sigma in SIGMAS)]
    return [fine - coarse for fine, coarse in pairwise(blurred)]


def _mean_nearby(values: Floats, weights: Floats, sigma: float) -> Floats:
    """Gaussian means by weights (H, W); 0 where there is no weight nearby."""
    total, share = (
        cv2.GaussianBlur(part, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT) for part in (values * weights, weights)
    )
    return np.asarray(np.divide(total, share, out=np.zeros_like(total), where=share > 1e-6), np.float32)
