"""Masks: width, setting it, parts, and padding to a fixed size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from defects.masks.width import Mask, bounding_box, pad_and_resize, set_width, skeletonize, width
from tests.builders.components import components

SIDE = 72
MARGIN = 16  # a shape that reaches the border of the image cannot grow any further


def bar(thick: int, length: int = 60) -> Mask:
    mask = np.zeros((90, 90), bool)
    mask[20 : 20 + thick, 10 : 10 + length] = True
    return mask


@st.composite
def shapes(draw: st.DrawFn) -> Mask:
    """One to three lines, discs and ellipses in the middle of a mask."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    place = st.integers(MARGIN, SIDE - MARGIN - 1)
    for _ in range(draw(st.integers(1, 3))):
        x, y = draw(place), draw(place)
        match draw(st.sampled_from(["line", "disc", "ellipse"])):
            case "line":
                points = [(x, y), *draw(st.lists(st.tuples(place, place), min_size=1, max_size=3))]
                cv2.polylines(canvas, [np.array(points, np.int32)], False, 1, draw(st.integers(1, 7)))
            case "disc":
                cv2.circle(canvas, (x, y), draw(st.integers(0, 7)), 1, -1)
            case _:
                axes = draw(st.integers(1, 13)), draw(st.integers(1, 5))
                cv2.ellipse(canvas, (x, y), axes, draw(st.integers(0, 179)), 0, 360, 1, -1)
    return canvas.astype(bool)


@pytest.mark.parametrize("thick", [1, 2, 3, 4, 5, 8, 9])
def test_the_width_of_a_bar_is_its_own_lying_or_standing(thick: int) -> None:
    assert width(bar(thick)) == pytest.approx(thick, abs=0.02)
    assert width(bar(thick).T) == pytest.approx(thick, abs=0.02)


def test_an_empty_mask_has_no_width_and_stays_empty() -> None:
    empty = np.zeros((8, 12), bool)
    assert width(empty) == 0.0
    assert bounding_box(empty) is None
    assert components(empty) == []
    assert not set_width(empty, 3.0).any()
    assert not pad_and_resize(empty, 16).any()


@pytest.mark.parametrize("thick", [1, 3, 6])
@pytest.mark.parametrize("target", [1.0, 2.0, 4.0, 9.0])
def test_a_bar_is_set_to_the_width_on_its_own_axis(thick: int, target: float) -> None:
    result = set_width(bar(thick), target)
    assert width(result) == pytest.approx(target, rel=0.08)
    rows = np.flatnonzero(result.any(axis=1))
    assert rows.mean() == pytest.approx(20 + (thick - 1) / 2, abs=1.0)


@settings(max_examples=40)
@given(shapes(), st.floats(1.0, 12.0))
def test_any_shape_reaches_the_requested_width(mask: Mask, target: float) -> None:
    assert width(set_width(mask, target)) == pytest.approx(target, rel=0.25, abs=0.7)


@settings(max_examples=40)
@given(shapes(), st.floats(0.3, 12.0))
def test_no_part_vanishes_whatever_the_width(mask: Mask, target: float) -> None:
    result = set_width(mask, target)
    assert all((part.mask & result).any() for part in components(mask))
    assert result.shape == mask.shape
    assert result.dtype == np.bool_


@pytest.mark.parametrize("target", [0.2, 0.9, 1.0, 1.3, 2.0, 5.0])
@pytest.mark.parametrize("refine", [0, 5])
def test_specks_of_a_few_pixels_survive_alone_and_next_to_a_line(target: float, refine: int) -> None:
    for height in range(1, 5):
        for breadth in range(1, 5):
            speck = np.zeros((20, 24), bool)
            speck[9 : 9 + height, 9 : 9 + breadth] = True
            line = np.zeros_like(speck)
            line[2:4] = True
            for mask in (speck, speck | line):
                result = set_width(mask, target, refine=refine)
                assert all((part.mask & result).any() for part in components(mask)), (height, breadth)


@pytest.mark.parametrize("seed", range(10))
def test_no_speck_of_a_noisy_mask_vanishes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((16, 16)) < rng.uniform(0.02, 0.6)
    for target in (0.3, 1.0, 2.0, 5.0):
        result = set_width(mask, target)
        assert all((part.mask & result).any() for part in components(mask))


@settings(max_examples=20)
@given(shapes())
def test_the_same_width_leaves_the_mask_alone_and_never_hands_out_the_argument(mask: Mask) -> None:
    before = mask.copy()
    result = set_width(mask, width(mask))
    assert np.array_equal(result, before)
    result[:] = False
    assert np.array_equal(mask, before)


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan"), float("inf")])
def test_a_width_that_is_none_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="expected a width in px above 0"):
        set_width(bar(3), target)


def test_components_are_the_eight_connected_parts_with_area_and_box() -> None:
    mask = np.zeros((10, 12), bool)
    mask[1, 1] = mask[2, 2] = True
    mask[6:9, 5:10] = True
    first, second = components(mask)
    assert (first.area, first.box) == (2, (1, 1, 2, 2))
    assert (second.area, second.box) == (15, (5, 6, 5, 3))
    assert np.array_equal(first.mask | second.mask, mask)
    assert bounding_box(mask) == (1, 1, 9, 8)


@pytest.mark.parametrize("size", [16, 32, 128])
@pytest.mark.parametrize("shape", [(300, 100), (100, 300), (64, 64), (33, 20)])
def test_a_thin_line_survives_the_fitting_in_one_piece(shape: tuple[int, int], size: int) -> None:
    mask = np.zeros(shape, bool)
    mask[:, shape[1] // 2] = True
    fitted = pad_and_resize(mask, size)
    assert fitted.shape == (size, size)
    assert len(components(fitted)) == 1
    _, _, _, height = bounding_box(fitted) or (0, 0, 0, 0)
    assert height == pytest.approx(size * shape[0] / max(shape), abs=1.5)


@pytest.mark.parametrize("size", [32, 34, 40, 64, 100])
def test_a_single_pixel_survives_the_fitting_wherever_it_is(size: int) -> None:
    for index in range(33):
        mask = np.zeros((33, 33), bool)
        mask[index, (index * 7) % 33] = True
        assert pad_and_resize(mask, size).any(), f"lost at {index}"


@settings(max_examples=30)
@given(st.integers(20, 200), st.integers(20, 200), st.sampled_from([32, 64, 128]))
def test_the_aspect_of_a_defect_is_preserved(height: int, breadth: int, size: int) -> None:
    mask = np.zeros((height, breadth), bool)
    mask[height // 4 : height // 4 + height // 2, breadth // 4 : breadth // 4 + breadth // 2] = True
    _, _, w, h = bounding_box(pad_and_resize(mask, size)) or (0, 0, 0, 0)
    zoom = size / max(height, breadth)
    assert w == pytest.approx(breadth // 2 * zoom, abs=1.5)
    assert h == pytest.approx(height // 2 * zoom, abs=1.5)


def test_a_mask_of_the_right_size_is_left_as_it_is() -> None:
    mask = np.random.default_rng(0).random((32, 32)) < 0.3
    assert np.array_equal(pad_and_resize(mask, 32), mask)


@pytest.mark.parametrize("size", [24, 100])
def test_where_a_defect_lies_does_not_matter_to_its_skeleton_when_fitted(size: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        mask = np.zeros((50, 70), bool)
        top, left = rng.integers(0, 30, 2)
        mask[top : top + 20, left : left + 40] = rng.random((20, 40)) < 0.4
        padded = np.pad(mask, ((10, 10), (0, 0)))
        ys, xs = np.nonzero(skeletonize(padded))
        ys, xs = (
            ((2 * ys + 1) * size // 140, (2 * xs + 1) * size // 140)
            if size > 70
            else (ys * size // 70, xs * size // 70)
        )
        assert pad_and_resize(mask, size)[ys, xs].all()
        assert np.array_equal(pad_and_resize(mask, size), pad_and_resize(padded, size))


def test_the_width_is_that_of_exact_distances_to_the_last_bit() -> None:
    for seed in range(40):
        mask = cv2.blur(np.random.default_rng(seed).random((97, 83)).astype(np.float32), (9, 9)) > 0.5
        box = np.pad(mask, 1).repeat(2, axis=0).repeat(2, axis=1)
        rows, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
        big = np.pad(box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 2)
        distance = ndimage.distance_transform_edt(big).astype(np.float32)
        assert width(mask) == float(distance[skeletonize(big)].mean(dtype=np.float64))
