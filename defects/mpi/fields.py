"""Random fields: correlated noise made small and resized, so that its cost hardly depends on its correlation length."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]


def field(shape: tuple[int, int], across: float, along: float, rng: np.random.Generator) -> Plane:
    """Gaussian noise of mean 0 and deviation about 1.

    Args:
        shape: (height, width) in pixels.
        across: Correlation length in y, pixels (under 0.3: none).
        along: Correlation length in x, pixels.
        rng: Source of randomness.

    Returns:
        (height, width) float32.
    """
    # Coarse enough to be cheap, fine enough that the blur hides the resizing.
    step_y, step_x = max(1.0, across / 1.5), max(1.0, along / 1.5)
    small = (max(2, math.ceil(shape[0] / step_y) + 1), max(2, math.ceil(shape[1] / step_x) + 1))
    noise: npt.NDArray[Any] = rng.standard_normal(small, dtype=np.float32)
    sigma_y, sigma_x = across / step_y, along / step_x
    if max(sigma_x, sigma_y) >= 0.3:
        noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=max(sigma_x, 0.01), sigmaY=max(sigma_y, 0.01))
    if small != shape:
        noise = cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    deviation = float(noise.std())
    return np.asarray((noise - noise.mean()) / max(deviation, 1e-6), np.float32)


def rough(shape: tuple[int, int], across: float, along: float, rng: np.random.Generator) -> Plane:
    """Like `field` on a 128 px image; on a larger one it is scaled up and keeps detail down to single pixels."""
    scale = min(shape) / 128
    coarse = field(shape, across * scale, along * scale, rng)
    if scale < 1.5:
        return coarse
    stretch = scale**0.5 if along > 4 * across else 1.0
    return np.asarray(0.7 * coarse + 0.7 * field(shape, across, along * stretch, rng), np.float32)


def blur(plane: Plane, sigma: float) -> Plane:
    """Gaussian blur, done on a smaller copy when `sigma` (px) is large."""
    if sigma < 4:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigmaX=sigma), np.float32)
    step = int(sigma // 2)
    height, width = plane.shape
    small = cv2.resize(plane, (math.ceil(width / step), math.ceil(height / step)), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), sigmaX=sigma / step)
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
