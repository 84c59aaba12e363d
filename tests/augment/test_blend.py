"""Blending: the membrane in closed form, soft edges, borders of the image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from augment.pasting.blending import membrane, poisson_blend
from augment.pasting.placement import MARGIN, alpha_blend, soft_edge
from defects.attributes.appearance import background_level, matched
from tests.builders.surfaces import blob, surface


def test_a_membrane_continues_a_plane() -> None:
    y, x = np.mgrid[:40, :50].astype(np.float32)
    plane = np.stack([2 * x - y, x + 3], axis=-1)
    region = blob((25, 20), (12, 9), (40, 50))
    holed = np.where(region[..., None], np.float32(-999), plane)
    assert np.abs(membrane(holed, region) - plane).max() < 1e-2


def test_a_membrane_stays_between_the_values_around_it() -> None:
    values = np.random.default_rng(0).uniform(10, 20, (30, 30, 1)).astype(np.float32)
    region = blob((4, 15), (9, 6), (30, 30))  # reaches the border of the image
    inside = membrane(values, region)[region]
    assert inside.min() >= 9.99
    assert inside.max() <= 20.01


def test_the_soft_edge_is_whole_on_the_mask_and_ends_where_it_says() -> None:
    mask = blob((64, 48), (15, 9))
    share = soft_edge(mask, 4.0)
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert (share[away <= MARGIN] == 1).all()
    assert (share[away >= MARGIN + 4] == 0).all()
    between = (away > MARGIN + 0.2) & (away < MARGIN + 3.8)
    assert ((share[between] > 0) & (share[between] < 1)).all()


@pytest.mark.parametrize("blend", [alpha_blend, poisson_blend])
def test_a_patch_like_the_background_leaves_no_trace(blend: object) -> None:
    background = surface(0)
    assert callable(blend)
    assert np.array_equal(blend(background, background.astype(np.float32), blob((60, 40), (20, 12)), 3.0), background)


def test_poisson_takes_out_a_difference_in_brightness() -> None:
    background, mask = surface(0, level=100), blob((60, 40), (16, 12))
    patch = surface(0, level=100).astype(np.float32) + 40
    assert np.abs(poisson_blend(background, patch, mask, 3.0).astype(int) - background).max() <= 1


def test_poisson_covers_an_image_that_is_all_defect() -> None:
    background = surface(0, shape=(20, 20))
    patch = surface(1, shape=(20, 20)).astype(np.float32)
    assert np.array_equal(
        poisson_blend(background, patch, np.ones((20, 20), bool), 2.0), np.rint(patch).astype(np.uint8)
    )


def test_a_patch_takes_on_the_brightness_of_its_new_background() -> None:
    bright, dark = surface(0, level=160), surface(0, level=60)
    moved = matched(bright, background_level(bright, 6), background_level(dark, 6))
    assert abs(float(moved.mean()) - float(dark.mean())) < 3


def test_the_background_level_does_not_depend_on_the_defect() -> None:
    mask = blob((60, 40), (14, 10))
    spoilt = np.where(mask[..., None], np.uint8(0), surface(0))
    clean = background_level(surface(0), 6)
    assert np.abs(background_level(spoilt, 6, mask) - clean)[mask].mean() < 5
