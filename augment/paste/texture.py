"""Texture defects: a Perlin mask, filled with another texture at some opacity."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.paste.perlin import fractal_noise, perlin_mask
from augment.paste.photographs import Photograph
from defects.masks import Mask

__all__ = ["TextureDefect", "texture_defect"]

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

SHARE = (0.0005, 0.2)
"""Least and most of the part that a defect covers."""

_VISIBLE = 6.0
"""Grey levels that it changes at least, on average."""

_TRIES = 40


@dataclass(frozen=True)
class TextureDefect:
    """A ground with a texture defect in it.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W), exactly the pixels that differ from the ground's.
        opacity: of the texture, 0..1.
        texture: `image` or `noise`.
    """

    image: Image
    mask: Mask
    opacity: float
    texture: str


def texture_defect(ground: Photograph, other: Photograph, rng: np.random.Generator) -> TextureDefect | None:
    """Put a texture into blobs of Perlin noise (DRAEM, Zavrtanik et al. 2021, eq. 1).

    `I_a = (1 - M) I + (1 - opacity) M I + opacity M A`, where A is another picture, turned, recoloured and rolled, or
    fractal noise. The blobs lie on the part and off its own defects.

    Args:
        ground: I.
        other: where A comes from.
        rng: draws everything.

    Returns:
        None where no blob of a fitting size was found or nothing would be seen of it.
    """
    shape = ground.mask.shape
    allowed = ground.region & ~(cv2.dilate(ground.mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    most = SHARE[1] * ground.region.sum()
    least = max(9.0, SHARE[0] * float(ground.region.sum()))
    mask = np.zeros(shape, bool)
    for _ in range(_TRIES):
        mask = _some_blobs(perlin_mask(shape, rng), rng) & allowed
        if least <= mask.sum() <= most:
            break
    else:
        return None
    kind = "image" if rng.random() < 0.6 else "noise"
    texture = _from_image(other.image, ground.image.shape, rng) if kind == "image" else _noise(ground.image, rng)
    opacity = float(rng.uniform(0.2, 0.9))
    before = ground.image.astype(np.float32)
    after = np.clip(np.rint(before + opacity * (texture - before)), 0, 255).astype(np.uint8)
    changed = mask & (after != ground.image).any(axis=2)
    if changed.sum() < least or np.abs(after[changed].astype(np.float32) - before[changed]).mean() < _VISIBLE:
        return None
    return TextureDefect(np.where(changed[..., None], after, ground.image), changed, opacity, kind)


def _some_blobs(mask: Mask, rng: np.random.Generator) -> Mask:
    """One to four of the blobs: a part with a hundred defects on it is no part anyone sees."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count <= 1:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)
    keep = 1 + int(rng.integers(min(4, count - 1)))
    chosen = rng.choice(count - 1, keep, replace=False, p=areas / areas.sum()) + 1
    return np.isin(labels, chosen)


def _from_image(image: Image, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Another picture: rolled, flipped, with another gamma and brightness, sometimes solarised."""
    picture = cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR).reshape(shape[0], shape[1], -1)
    if picture.shape[2] != shape[2]:
        picture = np.repeat(picture.mean(axis=2, keepdims=True), shape[2], axis=2)
    values = np.roll(picture, (int(rng.integers(shape[0])), int(rng.integers(shape[1]))), (0, 1)).astype(np.float32)
    values = values[:: -1 if rng.random() < 0.5 else 1, :: -1 if rng.random() < 0.5 else 1]
    values = 255 * (values / 255) ** np.float32(np.exp(rng.uniform(-0.7, 0.7)))
    if rng.random() < 0.3:
        values = np.where(values > 128, 255 - values, values)
    return np.asarray(np.clip(values * rng.uniform(0.6, 1.4) + rng.uniform(-30, 30), 0, 255), np.float32)


def _noise(image: Image, rng: np.random.Generator) -> Floats:
    """Fractal noise around a level that is darker or brighter than the picture's own."""
    height, breadth, channels = image.shape
    cells = max(1, min(height, breadth) // int(rng.integers(8, 33)))
    noise = fractal_noise((height, breadth), cells, 3, rng)
    mean = image.reshape(-1, channels).mean(axis=0)
    level = np.clip(mean * np.exp(rng.choice([-1, 1]) * rng.uniform(0.3, 0.9)), 5, 250)
    strength = rng.uniform(10, 50)
    return np.asarray(np.clip(level + noise[..., None] * strength, 0, 255), np.float32)
