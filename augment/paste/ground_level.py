"""The brightness a surface would have without its defect and without its fine texture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.masks import Mask

__all__ = ["ground_level", "matched"]

Floats = NDArray[np.float32]

_OFFSET = 8.0
"""Grey levels added before a ratio is taken, so that noise in the dark is not blown up."""

_BRIGHTEST = 2.5
"""A pixel at most this many times as bright as its ground."""


def ground_level(image: NDArray[np.uint8] | Floats, sigma: float, defect: Mask | None = None) -> Floats:
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


def matched(patch: NDArray[np.uint8] | Floats, level: Floats, ground: Floats) -> Floats:
    """A patch as it would look on another ground: its ratio to its own level, times the other.

    Args:
        patch: (H, W, C) grey values.
        level: (H, W, C) ground level of the patch.
        ground: (H, W, C) ground level where it goes.
    """
    ratio = (np.atleast_3d(patch).astype(np.float32) + _OFFSET) / (level + _OFFSET)
    return np.asarray(np.clip(np.minimum(ratio, _BRIGHTEST) * (ground + _OFFSET) - _OFFSET, 0, 255), np.float32)


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
    """Gaussian, of a picture made small first where sigma is large."""
    height, breadth, channels = values.shape
    factor = max(1, int(sigma // 3))
    if factor > 1 and min(height, breadth) >= 4 * factor:
        shape = (max(2, breadth // factor), max(2, height // factor))
        small = cv2.GaussianBlur(cv2.resize(values, shape, interpolation=cv2.INTER_AREA), (0, 0), sigma / factor)
        big = cv2.resize(small, (breadth, height), interpolation=cv2.INTER_LINEAR)
    else:
        big = cv2.GaussianBlur(values, (0, 0), sigma)
    return np.asarray(big, np.float32).reshape(height, breadth, channels)
