"""The bare surface of a fastener shank under a line-scan camera: materials, random fields, fall-off, edge band."""

from __future__ import annotations

import math
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Material:
    """How a surface looks before any particle sticks to it; strengths are relative to its luminance.

    Attributes:
        color: Mean red, green, blue in 0..1.
        second: Color that the cloudy patches lean towards.
        lines: Strength of the machining lines.
        line_length: Their correlation length, px on a 128 px image.
        cloud: Strength of the cloudy patches.
        cloud_size: Their size, px on a 128 px image.
        grain: Strength of the grain.
        grain_size: Its size, px on a 128 px image.
        speckle: Fluorescent particles left on the surface, per 1,000 px of a 128 px image.
    """

    color: tuple[float, float, float]
    second: tuple[float, float, float]
    lines: float
    line_length: float
    cloud: float
    cloud_size: float
    grain: float
    grain_size: float
    speckle: float


MATERIALS: dict[str, Material] = {
    # Plain dark steel: nearly black, violet from the lamp, crisp grinding lines.
    "dark": Material((0.070, 0.066, 0.140), (0.095, 0.070, 0.165), 0.34, 44.0, 0.10, 30.0, 0.10, 0.7, 5.0),
    # Phosphate coating: matt gray-green, crystalline, holds many particles, hardly any lines.
    "phosphate": Material((0.162, 0.186, 0.158), (0.138, 0.174, 0.152), 0.07, 16.0, 0.13, 7.0, 0.24, 0.9, 15.0),
    # Zinc plating: brighter and bluish with pale, stretched patches.
    "zinc": Material((0.098, 0.160, 0.305), (0.140, 0.190, 0.330), 0.15, 34.0, 0.09, 9.0, 0.09, 0.6, 3.5),
    # Cadmium plating, chromated: brassy yellow, satin, broad streaks.
    "cadmium": Material((0.270, 0.218, 0.078), (0.282, 0.212, 0.100), 0.20, 60.0, 0.07, 18.0, 0.08, 0.7, 3.0),
}

BACKGROUNDS = tuple(MATERIALS)


Pixels = npt.NDArray[np.float32]

# The band is the fixture next to the shank: it does not move from scan to scan.
BAND_START = 0.925
BAND_COLOR = np.asarray((0.022, 0.150, 0.062), np.float32)
# A part is scanned at several turns of its shank; its texture is this much taller than one image.
TURN = 1.25


def texture(shape: tuple[int, int], material: Material, rng: np.random.Generator) -> tuple[Plane, Plane, Plane]:
    """The part's texture.

    Returns:
        Relative luminance (mean 1), cloud (mean 0, deviation 1) and machining lines (mean 0, deviation 1), each
        (height, width).
    """
    scale = min(shape) / 128
    length = material.line_length * rng.uniform(0.7, 1.4)
    fine = rough(shape, 0.45, length, rng)
    coarse = field(shape, 1.8 * scale, length * 1.6 * scale, rng)
    lines = 0.8 * fine + 0.6 * coarse
    size = material.cloud_size * scale * rng.uniform(0.8, 1.25)
    cloud = 0.8 * field(shape, size * 0.8, size * 1.2, rng) + 0.6 * field(shape, size * 0.3, size * 0.5, rng)
    grain = rough(shape, material.grain_size, material.grain_size, rng)
    # Sharp lines are scratches by the wheel: dark ones are deeper than bright ones are high.
    shaped = np.tanh(lines * 0.8) + 0.25 * np.minimum(lines + 1.0, 0)
    strength = material.lines * rng.uniform(0.75, 1.3)
    local_contrast = 1 + strength * shaped + material.cloud * cloud + material.grain * grain
    return np.maximum(local_contrast, 0.15), cloud, lines


def fall_off(width: int, rng: np.random.Generator) -> Plane:
    """(1, width) illumination across the shank: bright where its surface faces the lamp, darker to the sides."""
    x = np.linspace(0, 1, width, dtype=np.float32)[None]
    center, radius = rng.uniform(0.38, 0.52), rng.uniform(0.56, 0.70)
    round_off = np.clip(1 - ((x - center) / radius) ** 2, 0, 1) ** 0.75
    sheen = rng.uniform(0.1, 0.3) * np.exp(-0.5 * ((x - center) / rng.uniform(0.05, 0.11)) ** 2)
    return np.asarray(0.20 + 0.90 * round_off + sheen, np.float32)


def surface(
    shape: tuple[int, int], material: Material, part: np.random.Generator, scan: np.random.Generator
) -> tuple[Pixels, Plane]:
    """The bare surface.

    Args:
        shape: (height, width).
        material: One of `MATERIALS`.
        part: What belongs to the part: texture, tint, lamp.
        scan: What differs from scan to scan of it: turn, gain of each line and each camera pixel.

    Returns:
        The image (height, width, 3) in about 0..1, and the machining lines (height, width).
    """
    height, width = shape
    tall = (int(height * TURN), width)
    local_contrast, cloud, lines = texture(tall, material, part)
    light = fall_off(width, part)
    tint = np.asarray([part.uniform(0.95, 1.05) for _ in range(3)], np.float32) * np.float32(part.uniform(0.88, 1.16))
    top = int(scan.integers(0, tall[0] - height + 1))
    rows = slice(top, top + height)
    local_contrast, cloud, lines = local_contrast[rows], cloud[rows], lines[rows]
    gain = 1 + 0.018 * scan.standard_normal((height, 1), dtype=np.float32)
    gain = gain + 0.008 * part.standard_normal((1, width), dtype=np.float32)
    luminance = local_contrast * light * gain * np.float32(scan.uniform(0.92, 1.08))
    lean = np.clip(0.5 + 0.5 * cloud, 0, 1)[..., None]
    first, second = np.asarray(material.color, np.float32), np.asarray(material.second, np.float32)
    image = (first + (second - first) * lean) * tint * luminance[..., None]
    return _with_band(image, scan), lines


def _with_band(image: Pixels, scan: np.random.Generator) -> Pixels:
    """Put the stationary dark green band over the right edge, with the shank's shadow before it."""
    height, width = image.shape[:2]
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    soft = 0.0055
    share = 1 / (1 + np.exp(np.clip((BAND_START - x) / soft, -30, 30)))
    shadow = 1 - 0.55 * np.exp(-0.5 * ((x - BAND_START + 0.018) / 0.016) ** 2)
    across = 1 - 0.38 * np.clip((x - BAND_START) / (1 - BAND_START), 0, 1)
    flicker = cv2.GaussianBlur(scan.standard_normal((height, 1), dtype=np.float32), (0, 0), sigmaX=0.1, sigmaY=1.2)
    band = BAND_COLOR * (across[None, :, None] * (1 + 0.07 * flicker[:, :, None]))
    weight = share[None, :, None]
    return np.asarray(image * shadow[None, :, None] * (1 - weight) + band * weight, np.float32)
