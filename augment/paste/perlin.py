"""Perlin noise on a grid, and irregular masks made of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defects.masks import Mask

__all__ = ["fractal_noise", "perlin_mask", "perlin_noise"]

Floats = NDArray[np.float32]


def perlin_noise(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Gradient noise (Perlin, An image synthesizer, 1985; the fade curve of Improving noise, 2002).

    Args:
        shape: (height, width).
        cells: lattice cells down and across; any number, they need not divide the shape.
        rng: draws one direction for each lattice point.

    Returns:
        (height, width) in about -1..1, mean near 0, zero on the lattice points.
    """
    angles = rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    gradients = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    along = [(np.arange(side) + 0.5) * count / side for side, count in zip(shape, cells, strict=True)]
    cell = [np.minimum(at.astype(np.int64), count - 1) for at, count in zip(along, cells, strict=True)]
    y, x = along[0] - cell[0], along[1] - cell[1]
    v, u = _fade(y)[:, None], _fade(x)[None, :]

    def corner(down: int, across: int) -> NDArray[np.float64]:
        gradient = gradients[np.ix_(cell[0] + down, cell[1] + across)]
        return np.asarray(gradient[..., 0] * (y - down)[:, None] + gradient[..., 1] * (x - across)[None, :])

    upper = corner(0, 0) * (1 - u) + corner(0, 1) * u
    lower = corner(1, 0) * (1 - u) + corner(1, 1) * u
    return np.asarray(np.sqrt(2.0) * (upper * (1 - v) + lower * v), np.float32)


def fractal_noise(shape: tuple[int, int], cells: int, octaves: int, rng: np.random.Generator) -> Floats:
    """Perlin noise summed over octaves, each of half the strength and twice the fineness of the one before."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        count = cells * 2**octave
        total += perlin_noise(shape, (count, count), rng) * np.float32(0.5**octave)
    return total


def perlin_mask(shape: tuple[int, int], rng: np.random.Generator, *, threshold: float = 0.5) -> Mask:
    """Irregular blobs: Perlin noise of a random fineness in each direction, turned by a random angle, thresholded.

    As in DRAEM (Zavrtanik et al. 2021, section 3.2): 1 to 64 lattice cells each way; finer noise makes edges ragged.

    Returns:
        (height, width) bool, which may be empty.
    """
    import cv2

    height, breadth = shape
    cells = 2 ** rng.integers(0, 7, 2)
    noise = perlin_noise(shape, (min(int(cells[0]), height // 4 or 1), min(int(cells[1]), breadth // 4 or 1)), rng)
    ragged = float(rng.uniform(0, 0.35))
    noise += np.float32(ragged) * fractal_noise(shape, max(2, min(shape) // 16), 2, rng)
    turn = cv2.getRotationMatrix2D((breadth / 2 - 0.5, height / 2 - 0.5), float(rng.uniform(-90, 90)), 1.0)
    mask: Mask = cv2.warpAffine(noise, turn, (breadth, height), borderMode=cv2.BORDER_REFLECT_101) > threshold
    return mask


def _fade(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(t * t * t * (t * (t * 6 - 15) + 10))
