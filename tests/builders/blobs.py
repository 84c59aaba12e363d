"""A small image with a mask, for the tests of transforms."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SHAPE = (72, 96)


def smooth_image(channels: int = 3, seed: int = 0) -> Image:
    """Smooth random blobs of all levels."""
    noise = np.random.default_rng(seed).integers(0, 256, (*SHAPE, channels), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3).reshape(*SHAPE, channels).astype(np.float64)
    low, high = smooth.min((0, 1)), smooth.max((0, 1))
    return np.asarray((smooth - low) / (high - low) * 255, np.uint8)


def defect() -> Mask:
    """A cross left of the middle."""
    mask = np.zeros(SHAPE, bool)
    mask[20:50, 28:36] = True
    mask[30:36, 16:60] = True
    return mask
