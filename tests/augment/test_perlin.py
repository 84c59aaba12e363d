"""Perlin noise: zero on the lattice, smooth, seeded; its masks."""

from __future__ import annotations

import numpy as np
import pytest

from augment.pasting.texture_defects import fractal_noise, perlin_mask, perlin_noise


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("shape", "strata"), [((64, 96), (4, 6)), ((61, 47), (5, 3)), ((32, 32), (1, 1))])
def test_noise_has_its_shape_and_stays_in_its_range(shape: tuple[int, int], strata: tuple[int, int]) -> None:
    noise = perlin_noise(shape, strata, _rng())
    assert noise.shape == shape
    assert noise.dtype == np.float32
    assert np.abs(noise).max() <= 1.0001
    assert noise.std() > 0.05


def test_noise_vanishes_near_its_lattice_points() -> None:
    noise = perlin_noise((800, 800), (4, 4), _rng())
    lattice = noise[200:800:200, 200:800:200]
    assert np.abs(lattice).max() < 0.02


def test_noise_is_smooth_across_its_lattice() -> None:
    noise = perlin_noise((256, 256), (4, 4), _rng())
    steps = np.abs(np.diff(noise, axis=1))
    assert steps.max() < 0.05  # a lattice step is 64 px


def test_the_same_seed_gives_the_same_noise() -> None:
    assert np.array_equal(fractal_noise((40, 50), 3, 3, _rng(7)), fractal_noise((40, 50), 3, 3, _rng(7)))
    assert not np.array_equal(fractal_noise((40, 50), 3, 3, _rng(7)), fractal_noise((40, 50), 3, 3, _rng(8)))


def test_masks_are_of_many_sizes() -> None:
    weights = [float(perlin_mask((64, 64), _rng(seed)).mean()) for seed in range(40)]
    assert min(weights) < 0.02
    assert max(weights) > 0.1
