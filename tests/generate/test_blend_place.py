"""Where a mask goes in a image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan.blending.placement import Placement, place, turned
from gan.cli.generate import parse_pair
from tests.builders.errors import raises


def sampled(seed: int = 0) -> list[float]:
    return list(np.random.default_rng(seed).random(4))


def mark(height: int = 40, width: int = 50) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[10:14, 20:32] = True
    mask[12:20, 22] = True
    return mask


def test_a_mask_of_the_images_size_stays_where_it_is() -> None:
    placed = place(mark(), 1.0, (40, 50), None, Placement(), sampled())
    assert placed is not None
    assert np.array_equal(placed.whole((40, 50)), mark())


def test_a_mask_at_an_edge_stays_at_that_edge_in_a_image_of_another_size() -> None:
    mask = np.zeros((40, 50), bool)
    mask[30:40, 44:50] = True
    placed = place(mask, 1.0, (90, 70), None, Placement(), sampled())
    assert placed is not None
    assert placed.whole((90, 70))[80:90, 64:70].all()


@given(st.integers(0, 2**31), st.integers(0, 60), st.integers(0, 40), st.sampled_from([1.0, 12.0]))
@settings(max_examples=30, deadline=None)
def test_a_moved_mask_lies_inside_the_region(seed: int, x: int, y: int, large: float) -> None:
    side = int(100 * large)
    roi = np.zeros((side, side), bool)
    roi[int(y * large) : int((y + 45) * large), int(x * large) : int((x + 35) * large)] = True
    requested = Placement(True, (-90, 90), (0.7, 1.2))
    placed = place(mark(), 1.0, (side, side), roi, requested, sampled(seed))
    assert placed is not None
    whole = placed.whole((side, side))
    assert whole.any()
    assert not (whole & ~roi).any()


def test_places_cover_the_whole_region_and_follow_from_the_seed() -> None:
    roi = np.zeros((80, 80), bool)
    roi[5:75, 5:75] = True
    requested = Placement(True)
    found = [place(mark(), 1.0, (80, 80), roi, requested, sampled(seed)) for seed in range(60)]
    xs = [one.x for one in found if one is not None]
    assert len(xs) == 60
    assert min(xs) < 15
    assert max(xs) > 50
    again = place(mark(), 1.0, (80, 80), roi, requested, sampled(3))
    assert again is not None
    assert found[3] is not None
    assert (again.x, again.y) == (found[3].x, found[3].y)


def test_what_does_not_fit_is_none_or_shrunk_to_fit() -> None:
    assert place(mark(), 1.0, (40, 8), None, Placement(), sampled()) is None
    placed = place(mark(), 1.0, (40, 8), None, Placement(), sampled(), shrink=True)
    assert placed is not None
    assert placed.mask.shape[1] <= 8
    assert place(mark(), 1.0, (40, 4), None, Placement(), sampled(), shrink=True) is None
    narrow = np.zeros((40, 50), bool)
    narrow[20, 20:24] = True
    assert place(mark(), 1.0, (40, 50), narrow, Placement(True), sampled()) is None


@pytest.mark.parametrize("angle", [0, 30, 90, 180, -45])
def test_a_turned_line_keeps_its_length_and_stays_whole(angle: float) -> None:
    line = np.ones((1, 40), bool)
    from tests.builders.components import components

    result = turned(line, angle, 1.0)
    assert len(components(result)) == 1
    assert 36 <= np.hypot(*(side - 1 for side in result.shape)) <= 42


def test_ranges_are_two_numbers_in_order_and_in_bounds() -> None:
    assert parse_pair("--rotate", "-5,5") == (-5.0, 5.0)
    for text in ("", "1", "1,2,3", "a,b"):
        with raises("E-blend-range"):
            parse_pair("--rotate", text)
    for wrong in ({"rotate": (5, -5)}, {"scale": (0, 1)}, {"scale": (2, 1)}, {"rotate": (0, float("nan"))}):
        with raises("E-blend-range"):
            Placement(**wrong)  # type: ignore[arg-type]
