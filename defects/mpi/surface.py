"""The fastener's bare surface as a line-scan camera sees it: machining texture, fall-off of the light, edge band."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from defects.mpi.fields import Plane, field, rough
from defects.mpi.materials import Material

Picture = npt.NDArray[np.float32]

# The band is the fixture beside the shank: it does not move from scan to scan.
BAND_START = 0.925
BAND_COLOUR = np.asarray((0.022, 0.150, 0.062), np.float32)
# A part is scanned at several turns of its shank; its texture is made this much taller than one image.
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
    relief = 1 + strength * shaped + material.cloud * cloud + material.grain * grain
    return np.maximum(relief, 0.15), cloud, lines


def fall_off(width: int, rng: np.random.Generator) -> Plane:
    """(1, width) illumination across the shank: bright where its surface faces the lamp, darker to the sides."""
    x = np.linspace(0, 1, width, dtype=np.float32)[None]
    centre, reach = rng.uniform(0.38, 0.52), rng.uniform(0.56, 0.70)
    round_off = np.clip(1 - ((x - centre) / reach) ** 2, 0, 1) ** 0.75
    sheen = rng.uniform(0.1, 0.3) * np.exp(-0.5 * ((x - centre) / rng.uniform(0.05, 0.11)) ** 2)
    return np.asarray(0.20 + 0.90 * round_off + sheen, np.float32)


def surface(
    shape: tuple[int, int], material: Material, part: np.random.Generator, scan: np.random.Generator
) -> tuple[Picture, Plane]:
    """The bare surface.

    Args:
        shape: (height, width).
        material: One of `MATERIALS`.
        part: What belongs to the part: texture, tint, lamp.
        scan: What differs from scan to scan of it: turn, exposure, gain of each line and each camera pixel.

    Returns:
        The picture (height, width, 3) in about 0..1, and the machining lines (height, width).
    """
    height, width = shape
    tall = (int(height * TURN), width)
    relief, cloud, lines = texture(tall, material, part)
    light = fall_off(width, part)
    tint = np.asarray([part.uniform(0.95, 1.05) for _ in range(3)], np.float32) * np.float32(part.uniform(0.88, 1.16))
    top = int(scan.integers(0, tall[0] - height + 1))
    rows = slice(top, top + height)
    relief, cloud, lines = relief[rows], cloud[rows], lines[rows]
    gain = 1 + 0.018 * scan.standard_normal((height, 1), dtype=np.float32)
    gain = gain + 0.008 * part.standard_normal((1, width), dtype=np.float32)
    luminance = relief * light * gain * np.float32(scan.uniform(0.92, 1.08))
    lean = np.clip(0.5 + 0.5 * cloud, 0, 1)[..., None]
    first, second = np.asarray(material.colour, np.float32), np.asarray(material.second, np.float32)
    picture = (first + (second - first) * lean) * tint * luminance[..., None]
    return _with_band(picture, scan), lines


def _with_band(picture: Picture, scan: np.random.Generator) -> Picture:
    """Put the stationary dark green band over the right edge, with the shank's shadow before it."""
    height, width = picture.shape[:2]
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    soft = 0.0055
    share = 1 / (1 + np.exp(np.clip((BAND_START - x) / soft, -30, 30)))
    shadow = 1 - 0.55 * np.exp(-0.5 * ((x - BAND_START + 0.018) / 0.016) ** 2)
    across = 1 - 0.38 * np.clip((x - BAND_START) / (1 - BAND_START), 0, 1)
    flicker = cv2.GaussianBlur(scan.standard_normal((height, 1), dtype=np.float32), (0, 0), sigmaX=0.1, sigmaY=1.2)
    band = BAND_COLOUR * (across[None, :, None] * (1 + 0.07 * flicker[:, :, None]))
    weight = share[None, :, None]
    return np.asarray(picture * shadow[None, :, None] * (1 - weight) + band * weight, np.float32)
