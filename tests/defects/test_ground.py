"""The ground around a defect is read off its surroundings, never off the defect."""

from __future__ import annotations

import numpy as np
import pytest

from defects.ground import ground_around


def patch(side: int = 40) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[15:25, 18:22] = True
    return mask


def test_level_and_grain_of_a_known_ground_whatever_the_defect_looks_like() -> None:
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal(100, 12, (40, 40, 1)), 0, 255).astype(np.uint8)
    mask = patch()
    found = ground_around(image, mask, 6)
    assert found.level == pytest.approx(100 / 255, abs=0.01)
    assert found.grain == pytest.approx(12 / 255, abs=0.005)
    image[mask] = 0
    assert ground_around(image, mask, 6) == found


def test_a_mask_that_leaves_no_ring_is_measured_by_what_it_leaves_or_by_all() -> None:
    image = np.full((20, 20, 3), 51, np.uint8)
    most = np.ones((20, 20), bool)
    most[0] = False
    assert ground_around(image, most, 4).level == pytest.approx(0.2, abs=0.001)
    assert ground_around(image, np.ones((20, 20), bool), 4).level == pytest.approx(0.2, abs=0.001)


def test_an_empty_mask_lies_on_nothing() -> None:
    with pytest.raises(ValueError, match="got an empty one"):
        ground_around(np.zeros((8, 8, 1), np.uint8), np.zeros((8, 8), bool), 3)
