"""Local contrast: what varies within a defect, whatever its contrast and the light it lies in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defects.attributes.appearance import SIGMAS, bands, local_contrast, local_contrast_of


def disc(side: int = 64, radius: float = 20) -> np.ndarray:
    rows, columns = np.indices((side, side)) - side / 2
    return np.asarray(np.hypot(rows, columns) < radius)


def gray(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)[..., None]


def test_a_flat_defect_has_none_however_dark() -> None:
    mask = disc()
    assert max(local_contrast(gray(np.where(mask, 20, 200)), mask)) < 1e-6


@given(st.floats(-80, 80), st.floats(2, 12))
def test_contrast_does_not_count(shift: float, strength: float) -> None:
    mask, rng = disc(), np.random.default_rng(0)
    inside = 110 + strength * rng.standard_normal(mask.shape)
    first = local_contrast(gray(np.where(mask, inside, 110)), mask)
    other = local_contrast(gray(np.where(mask, inside, 110 + shift)), mask)
    assert first == other
    assert np.hypot.reduce(first) == pytest.approx(strength / 255, rel=0.12)


def test_slow_light_does_not_count_but_grain_and_stripes_do_each_in_its_band() -> None:
    mask, rng = disc(128, 50), np.random.default_rng(1)
    columns = np.indices(mask.shape)[1]
    slope = local_contrast(gray(100 + 0.05 * columns), mask)
    grain = local_contrast(gray(110 + 8 * rng.standard_normal(mask.shape)), mask)
    stripes = local_contrast(gray(110 + 12 * np.sin(columns * 2 * np.pi / 14)), mask)
    assert max(slope) < 0.012
    assert grain[0] > 3 * max(grain[1:])
    assert stripes[1] > 3 * max(stripes[0], stripes[2])


def test_the_bands_add_up_to_what_is_left_of_the_coarsest_mean() -> None:
    mask, rng = disc(), np.random.default_rng(2)
    light = rng.random(mask.shape).astype(np.float32)
    found = bands(light, mask)
    assert len(found) == len(SIGMAS)
    for one, other in zip(found, bands(1 - light, mask), strict=True):
        np.testing.assert_allclose(one[mask], -other[mask], atol=1e-5)
    assert abs(float(sum(found)[mask].mean())) < 0.02


def test_nothing_outside_the_mask_is_looked_at() -> None:
    mask, rng = disc(), np.random.default_rng(3)
    inside = rng.integers(60, 120, mask.shape)
    assert local_contrast(gray(np.where(mask, inside, 0)), mask) == local_contrast(
        gray(np.where(mask, inside, 255)), mask
    )


def test_an_empty_mask_and_a_bad_row_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        local_contrast(gray(np.zeros((8, 8))), np.zeros((8, 8), bool))
    for bad in ([0.1], [0.1] * 4, [0.1, 0.1, -0.2], [0.1, 0.1, float("nan")], [0.1, 0.1, "0.1"], [True] * 3, None, 3):
        with pytest.raises(ValueError, match="expected local contrast"):
            local_contrast_of(bad)  # type: ignore[arg-type]
