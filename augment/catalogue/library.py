"""The only place that knows albumentations: the transforms that the CPU engine takes from it.

It is imported on first use, since that takes seconds and loads torch, and told not to ask the network for a newer
version of itself.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["albumentations", "hue_saturation", "salt_and_pepper"]

Image = NDArray[np.uint8]


@cache
def albumentations() -> Any:
    """The package."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as package

    return package


@cache
def _pixels() -> Any:
    albumentations()
    from albumentations.augmentations.pixel import functional

    return functional


def hue_saturation(image: Image, hue: float, saturation: float, value: float) -> Image:
    """Image (H, W, 3) with hue shifted by degrees, saturation and value by shares of 1."""
    return np.asarray(_pixels().shift_hsv(image, hue / 2, saturation * 255, value * 255))


def salt_and_pepper(image: Image, salt: NDArray[np.bool_], pepper: NDArray[np.bool_]) -> Image:
    """Image (H, W, C) made white or black where the masks (H, W) say so."""
    return np.asarray(_pixels().apply_salt_and_pepper(image, salt, pepper), np.uint8)
