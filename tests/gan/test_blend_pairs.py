"""Training pairs of Magna-Blend: a background without its defect, and nothing of the defect left in it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from defects.masks.width import signed_distance
from gan.data.blend_pairs import PairSource, margin
from gan.data.inpainting import inpainted
from tests.builders.gan import prepared, tiny

BLEND = {"architecture": "blend", "blend_radius": 3}


def surface(seed: int = 0, side: int = 96, channels: int = 1) -> np.ndarray:
    """Vertical marks with grain, (side, side, C)."""
    rng = np.random.default_rng(seed)
    marks = cv2.GaussianBlur(rng.normal(0, 25, (1, side)), (1, 3), 0)
    grain = rng.normal(120, 8, (side, side, channels))
    return np.clip(grain + marks.reshape(1, side, 1), 0, 255).astype(np.uint8)


def hole(side: int = 96) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[40:56, 30:50] = True
    return mask


@pytest.mark.parametrize("channels", [1, 3])
def test_only_the_hole_is_filled_and_nothing_in_it_is_looked_at(channels: int) -> None:
    image, taken = surface(channels=channels), hole()
    dark, bright = image.copy(), image.copy()
    dark[taken], bright[taken] = 0, 255
    filled = inpainted(dark, taken)
    assert np.array_equal(filled[~taken], image[~taken])
    assert np.array_equal(filled, inpainted(bright, taken))


def test_what_is_filled_in_has_the_level_the_grain_and_the_marks_of_the_surface() -> None:
    image, taken = surface(), hole()
    holed = image.copy()
    holed[taken] = 0
    filled = inpainted(holed, taken)
    inside, real = filled[44:52, 34:46, 0].astype(float), image[44:52, 34:46, 0].astype(float)
    assert abs(inside.mean() - real.mean()) < 8
    assert 0.5 < inside.std() / real.std() < 1.6
    assert np.corrcoef(inside.mean(0), real.mean(0))[0, 1] > 0.7


def test_a_hole_that_leaves_no_room_is_filled_from_a_good_image_or_smoothly() -> None:
    image, taken = surface(side=40), np.ones((40, 40), bool)
    taken[:4] = False
    image[taken] = 0
    assert inpainted(image, taken)[10:].mean() > 60
    good = surface(5, side=40)
    filled = inpainted(image, taken, [good])
    assert 0.5 < filled[10:].std() / good.std() < 1.5


def test_a_hole_at_the_border_and_a_image_that_is_all_hole() -> None:
    image, taken = surface(), np.zeros((96, 96), bool)
    taken[:10, :20] = True
    image[taken] = 0
    assert inpainted(image, taken)[:8, :16].mean() > 60
    everything = np.ones((96, 96), bool)
    assert inpainted(image, everything).shape == image.shape


def test_distance_is_to_the_edge_between_pixels() -> None:
    mask = np.zeros((9, 9), bool)
    mask[3:6, 3:6] = True
    signed = signed_distance(mask)
    assert signed[4, 4] == pytest.approx(1.5, abs=0.1)
    assert signed[4, 3] == pytest.approx(0.5)
    assert signed[4, 2] == pytest.approx(-0.5)
    assert not (signed == 0).any()
    assert signed_distance(np.zeros((4, 4), bool)).max() < 0


def test_a_pair_differs_within_blend_radius_of_the_mask_only(tmp_path: Path) -> None:
    config = tiny(network=BLEND)
    parts = prepared(tmp_path / "data", config)
    source = PairSource(parts.train, side=32, blend_radius=3, seed=0)
    for index in parts.defective:
        crop = source.cut(index, None)
        near = margin(crop.mask, 3)
        assert np.array_equal(crop.image[~near], crop.background[~near])
        assert not np.array_equal(crop.image[near], crop.background[near])
        assert crop.background[crop.mask].max() < 220  # of the defect, which has 250, nothing is left
        assert crop.guide["brightness"] > 0.2
        assert np.array_equal(crop.distance > 0, crop.mask)


def test_the_other_background_is_a_good_image_from_the_same_place(tmp_path: Path) -> None:
    config = tiny(network=BLEND)
    parts = prepared(tmp_path / "data", config)
    source = PairSource(parts.train, side=32, blend_radius=3, seed=0)
    good = [source.scaled(i)[0] for i in source.good]
    crop = source.cut(parts.defective[0], None)
    image = source.scaled(parts.defective[0])[0]
    found = cv2.matchTemplate(image, np.ascontiguousarray(crop.image), cv2.TM_SQDIFF)
    corner = np.unravel_index(int(found.argmin()), found.shape)
    places = [image[corner[0] : corner[0] + 32, corner[1] : corner[1] + 32] for image in good]
    assert any(np.array_equal(place, crop.other) for place in places)


def test_without_good_images_the_other_background_is_another_one_with_its_defect_inpainted(
    tmp_path: Path,
) -> None:
    config = tiny(network=BLEND)
    parts = prepared(tmp_path / "data", config, ("crack", "pit") * 4)
    source = PairSource(parts.train, side=32, blend_radius=3, seed=0)
    assert source.good == []
    for index in range(len(source)):
        assert source.cut(index, np.random.default_rng(index)).other.max() < 220


def test_a_pair_follows_from_its_random_numbers(tmp_path: Path) -> None:
    config = tiny(network=BLEND)
    parts = prepared(tmp_path / "data", config)
    one, two = (PairSource(parts.train, side=32, blend_radius=3, seed=0) for _ in range(2))
    two.cut(1, np.random.default_rng(3))
    a, b = (source.cut(0, np.random.default_rng(7)) for source in (one, two))
    assert all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("image", "mask", "background", "other"))
