"""An outline encloses exactly the pixels of its part, whichever program draws it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from defects.masks.outlines import INSET, area, fill_polygons, outlines
from tests.builders.components import Component, components

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24))) | st.builds(
    lambda seed, side, share: np.random.default_rng(seed).random((side, side)) < share,
    st.integers(0, 10_000),
    st.integers(2, 40),
    st.sampled_from((0.3, 0.5, 0.7, 0.9)),
)

# pycocotools 2.0.11 decodes with a call that NumPy 2 deprecates.
PYCOCOTOOLS = "ignore:__array__ implementation:DeprecationWarning"


def _part_at(mask: np.ndarray, outline: np.ndarray) -> Component:
    """The part of the mask that an outline goes around, named by its topmost, leftmost corner."""
    x, y = min(outline.astype(int).tolist(), key=lambda point: (point[1], point[0]))
    return next(part for part in components(mask) if part.mask[y, x])


@pytest.mark.filterwarnings(PYCOCOTOOLS)
@given(MASKS)
def test_along_the_edges_the_area_is_the_pixel_count_and_coco_draws_the_very_mask(mask: np.ndarray) -> None:
    found = outlines(mask)
    assert len(found) == len(components(mask))
    for outline in found:
        part = _part_at(mask, outline)
        assert area(outline) == part.area
        assert (*outline.min(axis=0), *np.ptp(outline, axis=0)) == part.box
        runs = coco_mask.merge(coco_mask.frPyObjects([outline.ravel().tolist()], *mask.shape))
        assert np.array_equal(coco_mask.decode(runs).astype(bool), part.mask)


@given(MASKS)
def test_a_hair_inside_opencv_pillow_and_this_project_draw_the_very_mask(mask: np.ndarray) -> None:
    found = outlines(mask, INSET)
    assert len(found) == len(components(mask))
    for outline in found:
        part = _part_at(mask, outline)
        sampled = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(sampled, [outline.astype(np.int32)], 1)
        assert np.array_equal(sampled.astype(bool), part.mask)
        image = Image.new("1", mask.shape[::-1])
        ImageDraw.Draw(image).polygon([tuple(point) for point in outline], fill=1, outline=1)
        assert np.array_equal(np.array(image), part.mask)
        filled = np.zeros(mask.shape, bool)
        fill_polygons(filled, [tuple(map(tuple, outline.tolist()))])
        assert np.array_equal(filled, part.mask)


def test_an_empty_mask_has_no_outline() -> None:
    assert outlines(np.zeros((4, 4), bool)) == []
