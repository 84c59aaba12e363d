"""The background of a defect is read off its surroundings, never off the defect."""

from __future__ import annotations

import numpy as np
import pytest

from defects.attributes.appearance import BackgroundStats, Setting, background_around


def patch(side: int = 40) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[15:25, 18:22] = True
    return mask


def test_level_and_grain_of_a_known_background_whatever_the_defect() -> None:
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal(100, 12, (40, 40, 1)), 0, 255).astype(np.uint8)
    mask = patch()
    found = background_around(image, mask, 6)
    assert found.level == pytest.approx(100 / 255, abs=0.01)
    assert found.grain == pytest.approx(12 / 255, abs=0.005)
    image[mask] = 0
    assert background_around(image, mask, 6) == found


def test_a_mask_that_leaves_no_ring_is_measured_by_what_it_leaves_or_by_all() -> None:
    image = np.full((20, 20, 3), 51, np.uint8)
    most = np.ones((20, 20), bool)
    most[0] = False
    assert background_around(image, most, 4).level == pytest.approx(0.2, abs=0.001)
    assert background_around(image, np.ones((20, 20), bool), 4).level == pytest.approx(0.2, abs=0.001)


def test_an_empty_mask_lies_on_nothing() -> None:
    with pytest.raises(ValueError, match="got an empty one"):
        background_around(np.zeros((8, 8, 1), np.uint8), np.zeros((8, 8), bool), 3)


def test_the_setting_holds_the_edge_of_a_part_and_the_place_in_the_image() -> None:
    image = np.full((40, 60, 1), 200, np.uint8)
    image[:10] = 20  # beyond the part
    mask = np.zeros((40, 60), bool)
    mask[10:14, 0:30] = True
    setting = background_around(image, mask, 6).setting
    assert setting is not None
    assert (setting.x, setting.y) == (0.0, pytest.approx(10 / 36))
    assert setting.above < -0.3
    assert setting.below > 0.2
    assert setting.left == 0.0  # the image ends there
    across = background_around(np.swapaxes(image, 0, 1), mask.T, 6).setting
    assert across is not None
    assert (across.left, across.right) == pytest.approx((setting.above, setting.below), abs=0.02)
    corner = np.zeros((40, 60), bool)
    corner[10:14, 0:4] = True
    assert background_around(image, corner, 6).setting[5] == 0.0  # type: ignore[index]
    assert across.y == setting.x


def test_background_statistics_are_a_row_of_numbers_and_back_and_nonsense_is_refused() -> None:
    stats = BackgroundStats(0.5, 0.1, Setting(0.0, 1.0, -0.2, 0.1, 0.0, 0.1))
    assert BackgroundStats.of(stats.numbers()) == stats
    assert BackgroundStats.of([0.5, 0.1]) == BackgroundStats(0.5, 0.1)
    for wrong in ([0.5, 1.1], [0.5, float("nan")], [0.5], [0.5, 0.1, 0.2], [0.5, 0.1, 0, 0, 2, 0, 0, 0]):
        with pytest.raises(ValueError, match="expected background statistics"):
            BackgroundStats.of(wrong)
