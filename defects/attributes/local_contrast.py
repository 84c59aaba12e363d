"""How much the light varies within a defect, fine and coarse: a pit has depth, a badly ground region has stripes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import luminance
from defects.masks.width import Mask, bounding_box

REACHES = (1.5, 6.0, 24.0)
"""Px (standard deviations of Gaussians). The first band is what is finer than the first of them, every other what lies
between one and the next."""

Floats = NDArray[np.float32]
LocalContrast = tuple[float, ...]
"""Standard deviation of the luminance (0..1) within a defect in each band, finest first."""


def local_contrast(image: NDArray[np.uint8], mask: Mask) -> LocalContrast:
    """The relief of a defect.

    How much darker than its surroundings it is has no part in it, nor has light that changes slowly.

    Args:
        image: (H, W, C).
        mask: (H, W), not empty.

    Raises:
        ValueError: for an empty mask.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("expected a mask with a defect, got an empty one; it has no relief")
    x, y, w, h = box
    cut = slice(y, y + h), slice(x, x + w)
    part, light = mask[cut], luminance(np.ascontiguousarray(image[cut]))
    return tuple(float(np.sqrt(np.mean(np.square(band[part], dtype=np.float64)))) for band in bands(light, part))


def local_contrast_of(numbers: Sequence[float]) -> LocalContrast:
    """The relief of a row of a checkpoint.

    Raises:
        ValueError: it has another number of bands, or one out of range.

    >>> local_contrast_of([0.02, 0.05, 0.01])
    (0.02, 0.05, 0.01)
    """
    known = isinstance(numbers, list | tuple) and all(type(number) in (int, float) for number in numbers)
    if not known or len(numbers) != len(REACHES) or not all(0 <= number <= 1 for number in numbers):
        raise ValueError(f"expected reliefs of {len(REACHES)} numbers in 0..1, got {numbers!r:.60}")
    return tuple(float(number) for number in numbers)


def bands(values: Floats, mask: Mask) -> list[Floats]:
    """What is finer than each reach and coarser than the one before, by means within the mask only.

    Args:
        values: (H, W).
        mask: (H, W); nothing outside it is looked at.
    """
    part = mask.astype(np.float32)
    levels = [values, *(_mean_nearby(values, part, reach) for reach in REACHES)]
    return [fine - coarse for fine, coarse in pairwise(levels)]


def _mean_nearby(values: Floats, weights: Floats, reach: float) -> Floats:
    """Gaussian means by weights (H, W); 0 where there is no weight nearby."""
    total, share = (
        cv2.GaussianBlur(part, (0, 0), reach, borderType=cv2.BORDER_CONSTANT) for part in (values * weights, weights)
    )
    return np.asarray(np.divide(total, share, out=np.zeros_like(total), where=share > 1e-6), np.float32)
