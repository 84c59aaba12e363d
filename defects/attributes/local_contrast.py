"""Local contrast: how much the luminance varies within a defect, in bands from fine to coarse."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import luminance
from defects.masks.width import Mask, bounding_box
from defects.sample import Floats

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
