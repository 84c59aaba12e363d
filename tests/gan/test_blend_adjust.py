"""What a network draws is moved to a local contrast and a brightness, and no further than it may be."""

from __future__ import annotations

import numpy as np
import pytest

from defects.attributes.appearance import local_contrast, reliable_brightness
from defects.masks.width import signed_distance
from gan.blending.adjustment import (
    GAINS,
    LEAST_LOCAL_CONTRAST,
    LOCAL_CONTRAST_GAINS,
    composed,
    shifted,
    strengthened,
    with_local_contrast,
)
from gan.blending.compositing import Composite
from gan.data.blend_pairs import margin

SIDE, RADIUS = 96, 8


def scene(depth: float = 60, grain: float = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A background, a change that makes it a dark and nearly smooth pit, its opacity, and its mask."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((SIDE, SIDE)) - SIDE / 2
    mask = np.hypot(rows, columns) < 18
    background = (140 + 6 * rng.standard_normal((SIDE, SIDE, 1))).astype(np.float32)
    requested = 140 - depth + grain * rng.standard_normal((SIDE, SIDE, 1))
    opacity = np.clip(signed_distance(mask) + 0.5, 0, 1).astype(np.float32)[..., None]
    return background, (requested - background).astype(np.float32), opacity, mask


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.7, 2.5])
def test_a_local_contrast_is_reached_in_every_band(factor: float) -> None:
    background, change, opacity, mask = scene()
    before = local_contrast(composed(background, change, opacity), mask)
    requested = tuple(factor * band for band in before)
    image = composed(background, with_local_contrast(requested, background, change, opacity, mask), opacity)
    np.testing.assert_allclose(local_contrast(image, mask), requested, rtol=0.08, atol=0.002)


def test_its_mean_stays_and_pixels_off_the_defect_do() -> None:
    background, change, opacity, mask = scene()
    before = composed(background, change, opacity)
    after = composed(background, with_local_contrast((0.03, 0.02, 0.01), background, change, opacity, mask), opacity)
    assert reliable_brightness(after, mask, RADIUS)[0] == pytest.approx(
        reliable_brightness(before, mask, RADIUS)[0], abs=0.004
    )
    outside = ~margin(mask, 3)
    assert np.array_equal(after[outside], before[outside])
    assert not np.array_equal(after[mask], before[mask])


def test_no_more_is_done_than_is_allowed() -> None:
    background, change, opacity, mask = scene()
    before = np.array(local_contrast(composed(background, change, opacity), mask))
    for requested, limit in ((0.9, LOCAL_CONTRAST_GAINS[1]), (0.0, LOCAL_CONTRAST_GAINS[0])):
        image = composed(background, with_local_contrast((requested,) * 3, background, change, opacity, mask), opacity)
        assert np.all(np.abs(local_contrast(image, mask) / before - limit) < 0.35 * limit)


def test_a_defect_of_a_few_pixels_stays_as_it_is_sampled() -> None:
    background, change, opacity, mask = scene()
    tiny = np.zeros_like(mask)
    tiny[40, 40 : 40 + LEAST_LOCAL_CONTRAST - 1] = True
    assert with_local_contrast((0.2, 0.2, 0.2), background, change, opacity, tiny) is change


@pytest.mark.parametrize("requested", [-0.1, -0.2, -0.3])
def test_a_brightness_is_reached_by_strength_and_then_by_light(requested: float) -> None:
    background, change, opacity, mask = scene()
    stronger = strengthened(requested, True, change, background, opacity, mask, RADIUS)
    image = shifted(requested, True, stronger, background, opacity, mask, RADIUS)
    assert reliable_brightness(image, mask, RADIUS)[0] == pytest.approx(requested, abs=0.004)
    share = float((stronger / change)[mask].mean())
    assert GAINS[0] - 1e-3 <= share <= GAINS[1] + 1e-3


def test_a_dark_defect_never_lightens_its_background() -> None:
    background, change, opacity, mask = scene()
    background[mask] -= 50
    without = reliable_brightness(composed(background, np.zeros_like(change), opacity), mask, RADIUS)[0]
    image = shifted(-0.05, True, change, background, opacity, mask, RADIUS)
    assert reliable_brightness(image, mask, RADIUS)[0] <= without + 0.004


@pytest.mark.parametrize("level", [-0.08, -0.3])
def test_a_brightness_leaves_a_local_contrast_that_was_set(level: float) -> None:
    background, change, opacity, mask = scene(depth=14)
    requested = (0.03, 0.01, 0.004)
    around = background, opacity, mask, RADIUS
    change = with_local_contrast(requested, background, strengthened(level, True, change, *around), opacity, mask)
    blended = Composite(
        np.rint(background).astype(np.uint8), np.s_[:, :], mask, change, opacity, RADIUS, contrast_set=True
    )
    image = blended.image(level)
    assert reliable_brightness(image, mask, RADIUS)[0] == pytest.approx(level, abs=0.004)
    np.testing.assert_allclose(local_contrast(image, mask), requested, rtol=0.15, atol=0.002)


def test_the_colors_of_a_defect_stay_when_its_local_contrast_grows() -> None:
    background, change, opacity, mask = scene()
    rng = np.random.default_rng(1)
    tints = np.array([1.1, 1.0, 0.8], np.float32)
    noise = 4 * rng.standard_normal((*mask.shape, 3)).astype(np.float32)
    background, change = background * tints, change * tints + noise
    before = composed(background, change, opacity)
    requested = tuple(2 * band for band in local_contrast(before, mask))
    after = composed(background, with_local_contrast(requested, background, change, opacity, mask), opacity)
    np.testing.assert_allclose(local_contrast(after, mask), requested, rtol=0.1, atol=0.002)

    def spread(image: np.ndarray) -> float:
        inside = image[mask].astype(float)
        return float((inside[:, 0] - inside[:, 2]).std())

    assert spread(after) == pytest.approx(spread(before), rel=0.05)
