"""Texture defects in irregular masks of Perlin noise (DRAEM)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.pasting.images import LoadedImage
from defects.images.decode import as_channels
from defects.masks.width import Mask
from defects.sample import Floats, Image


def perlin_noise(shape: tuple[int, int], lattice: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Gradient noise (Perlin, An image synthesizer, 1985; the fade curve of Improving noise, 2002).

    Args:
        shape: (height, width).
        lattice: lattice steps down and across; any number, they need not divide the shape.
        rng: draws one direction for each lattice point.

    Returns:
        (height, width) in about -1..1, mean near 0, zero on the lattice points.
    """
    angles = rng.uniform(0, 2 * np.pi, (lattice[0] + 1, lattice[1] + 1))
    gradients = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    along = [(np.arange(side) + 0.5) * count / side for side, count in zip(shape, lattice, strict=True)]
    index = [np.minimum(at.astype(np.int64), count - 1) for at, count in zip(along, lattice, strict=True)]
    y, x = along[0] - index[0], along[1] - index[1]
    v, u = _fade(y)[:, None], _fade(x)[None, :]

    def corner(down: int, across: int) -> NDArray[np.float64]:
        gradient = gradients[np.ix_(index[0] + down, index[1] + across)]
        return np.asarray(gradient[..., 0] * (y - down)[:, None] + gradient[..., 1] * (x - across)[None, :])

    upper = corner(0, 0) * (1 - u) + corner(0, 1) * u
    lower = corner(1, 0) * (1 - u) + corner(1, 1) * u
    return np.asarray(np.sqrt(2.0) * (upper * (1 - v) + lower * v), np.float32)


def fractal_noise(shape: tuple[int, int], lattice: int, octaves: int, rng: np.random.Generator) -> Floats:
    """Perlin noise summed over octaves, each of half the strength and twice the fineness of the one before."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        count = lattice * 2**octave
        total += perlin_noise(shape, (count, count), rng) * np.float32(0.5**octave)
    return total


def perlin_mask(shape: tuple[int, int], rng: np.random.Generator, *, threshold: float = 0.5) -> Mask:
    """Irregular blobs: Perlin noise of a random scale in each direction, rotated by a random angle, thresholded.

    As in DRAEM (Zavrtanik et al. 2021, section 3.2): 1 to 64 lattice steps each way; finer noise roughens the edges.

    Returns:
        (height, width) bool, which may be empty.
    """
    import cv2

    height, width = shape
    lattice = 2 ** rng.integers(0, 7, 2)
    noise = perlin_noise(shape, (min(int(lattice[0]), height // 4 or 1), min(int(lattice[1]), width // 4 or 1)), rng)
    ragged = float(rng.uniform(0, 0.35))
    noise += np.float32(ragged) * fractal_noise(shape, max(2, min(shape) // 16), 2, rng)
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), float(rng.uniform(-90, 90)), 1.0)
    mask: Mask = cv2.warpAffine(noise, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101) > threshold
    return mask


def _fade(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(t * t * t * (t * (t * 6 - 15) + 10))


SHARE = (0.0005, 0.2)
"""Least and most of the part that a defect covers."""

_VISIBLE = 6.0
"""Least mean change of a blob in gray levels; more on a rough background."""

_MAX_ATTEMPTS = 40

_EDGE = 2.5
"""Px from the edge inwards over which the texture fades in."""


@dataclass(frozen=True)
class TextureDefect:
    """A background with a texture defect in it.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W), exactly the pixels that differ from the background's.
        opacity: of the texture, 0..1.
        texture: `image` or `noise`.
    """

    image: Image
    mask: Mask
    opacity: float
    texture: str


def texture_defect(background: LoadedImage, other: LoadedImage, rng: np.random.Generator) -> TextureDefect | None:
    """Blends a texture into blobs of Perlin noise (DRAEM, Zavrtanik et al. 2021, eq. 1), with a soft inner edge.

    `I_a = (1 - M) I + (1 - opacity) M I + opacity M A`, where A is another image, rotated, recolored and translated,
    or fractal noise. The blobs lie on the part and off its own defects.

    Args:
        background: I.
        other: the source of A.
        rng: draws everything.

    Returns:
        None where no blob has a fitting size or none would be visible.
    """
    allowed = background.region & ~(cv2.dilate(background.mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    area = float(background.region.sum())
    least, most = max(9.0, SHARE[0] * area), SHARE[1] * area
    before = background.image.astype(np.float32)
    for attempt in range(_MAX_ATTEMPTS):
        mask = _some_blobs(perlin_mask(allowed.shape, rng), rng) & allowed
        if not least <= mask.sum() <= most:
            continue
        texture_type = "image" if rng.random() < 0.6 and attempt < _MAX_ATTEMPTS // 2 else "noise"
        texture = (
            _from_image(other.image, background.image.shape, rng)
            if texture_type == "image"
            else _noise(background.image, rng)
        )
        opacity = float(rng.uniform(0.2, 0.9))
        inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
        share = opacity * np.minimum(1, inside / _EDGE)[..., None]
        after = np.clip(np.rint(before + share * (texture - before)), 0, 255).astype(np.uint8)
        changed = _visible(mask, np.abs(after - before).max(axis=2), background.luminance)
        if changed.sum() >= least:
            return TextureDefect(np.where(changed[..., None], after, background.image), changed, opacity, texture_type)
    return None


def _visible(mask: Mask, change: Floats, luminance: Image) -> Mask:
    """The pixels that change, of the blobs whose change exceeds the roughness of their background."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    sizes = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)

    def mean(values: Floats) -> NDArray[np.float64]:
        return np.asarray(np.bincount(labels.ravel(), values.ravel(), minlength=count) / sizes)

    gray = luminance.astype(np.float32)
    roughness = np.abs(gray - cv2.blur(gray, (9, 9)))
    visible = mean(change) >= _VISIBLE + 1.5 * mean(roughness)
    visible[0] = False
    result: Mask = visible[labels] & (change > 0)
    return result


def _some_blobs(mask: Mask, rng: np.random.Generator) -> Mask:
    """One to four of the blobs: no real part has a hundred defects."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count <= 1:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)
    number = 1 + int(rng.integers(min(4, count - 1)))
    selected = rng.choice(count - 1, number, replace=False, p=areas / areas.sum()) + 1
    return np.isin(labels, selected)


def _from_image(image: Image, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Another image: rotated, zoomed, translated, with another gamma and brightness, sometimes solarized."""
    middle = float(rng.uniform(0, image.shape[1])), float(rng.uniform(0, image.shape[0]))
    turn = cv2.getRotationMatrix2D(middle, float(rng.uniform(0, 360)), float(rng.uniform(0.7, 1.6)))
    turn[:, 2] += np.asarray([shape[1] / 2 - middle[0], shape[0] / 2 - middle[1]])
    size = (shape[1], shape[0])
    moved = cv2.warpAffine(as_channels(image, shape[2]), turn, size, borderMode=cv2.BORDER_REFLECT_101)
    values = moved.reshape(shape).astype(np.float32)
    values = np.float32(255) * (values / np.float32(255)) ** np.float32(np.exp(rng.uniform(-0.7, 0.7)))
    if rng.random() < 0.3:
        values = np.where(values > 128, np.float32(255) - values, values)
    return np.asarray(np.clip(values * rng.uniform(0.6, 1.4) + rng.uniform(-30, 30), 0, 255), np.float32)


def _noise(image: Image, rng: np.random.Generator) -> Floats:
    """Fractal noise around a level that is darker or brighter than the image's own."""
    height, width, channels = image.shape
    lattice = max(1, min(height, width) // int(rng.integers(8, 33)))
    noise = fractal_noise((height, width), lattice, 3, rng)
    mean = image.reshape(-1, channels).mean(axis=0)
    level = np.clip(mean * np.exp(rng.choice([-1, 1]) * rng.uniform(0.3, 0.9)), 5, 250)
    strength = rng.uniform(10, 50)
    return np.asarray(np.clip(level + noise[..., None] * strength, 0, 255), np.float32)
