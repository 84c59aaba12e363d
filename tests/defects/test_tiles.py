"""Tiles cover an image, and their maps are joined to one of the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defects.images.crops import TileRule, boxes, is_defective, stitch
from tests.builders.errors import raises


@given(st.integers(8, 60), st.integers(8, 60), st.integers(0, 7))
def test_every_pixel_is_covered_and_no_tile_leaves_the_image(height: int, width: int, overlap: int) -> None:
    covered = np.zeros((height, width), int)
    for x, y, w, h in boxes(height, width, TileRule(8, overlap)):
        assert x >= 0
        assert y >= 0
        assert covered[y : y + h, x : x + w].shape == (8, 8)
        covered[y : y + h, x : x + w] += 1
    assert covered.min() >= 1


@given(st.integers(8, 40), st.integers(8, 40))
def test_stitching_cut_maps_gives_the_whole_map(height: int, width: int) -> None:
    whole = np.random.default_rng(height * width).random((height, width))
    places = boxes(height, width, TileRule(8, 3))
    parts = [whole[y : y + h, x : x + w] for x, y, w, h in places]
    np.testing.assert_allclose(stitch(parts, places, whole.shape), whole, rtol=1e-6)


def test_ten_pixels_make_a_tile_of_the_published_rule_defective() -> None:
    mask = np.zeros((384, 384), bool)
    mask[0, :9] = True
    assert not is_defective(mask, TileRule(384, 128, pixels=10))
    mask[0, 9] = True
    assert is_defective(mask, TileRule(384, 128, pixels=10))


def test_one_percent_of_a_tile_is_501_pixels_of_224_squared() -> None:
    mask = np.zeros(224 * 224, bool)
    mask[:500] = True
    assert not is_defective(mask.reshape(224, 224), TileRule(224, 2, share=0.01))
    mask[500] = True
    assert is_defective(mask.reshape(224, 224), TileRule(224, 2, share=0.01))


def test_an_image_smaller_than_a_tile_is_refused_by_name() -> None:
    with raises("E-data-small-image", r"a.png: 50 x 20 px is smaller than a tile of 32 px; choose a smaller tile"):
        boxes(20, 50, TileRule(32), where="a.png")


@pytest.mark.parametrize("overlap", [-1, 32])
def test_an_overlap_that_never_ends_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match="expected an overlap from 0 to below the side 32"):
        TileRule(32, overlap)


def test_a_map_of_another_shape_than_its_tile_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a map of \(4, 4\), got \(2, 2\)"):
        stitch([np.zeros((2, 2))], [(0, 0, 4, 4)], (4, 4))
