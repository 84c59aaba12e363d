"""Localization scores by closed form, by the gate on the classifier's answer, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from metrics.localization import LocalizationCounter, localization, pixel_scores, pointing, sweep, weighting


def half() -> np.ndarray:
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :2] = True
    return mask


def test_a_perfect_map_scores_one_everywhere() -> None:
    found = localization(half().astype(float), half(), [0.9])
    assert found.by_image == found.by_pixel == pixel_scores(half(), half())
    assert found.by_pixel.iou == found.pointing == found.weighting == found.auroc == found.average_precision == 1.0


def test_an_uncertain_classifier_empties_the_map() -> None:
    found = localization(half().astype(float), half(), [0.5])
    assert found.by_pixel.recall == 0.0
    assert found.pointing == 0.0
    assert found.weighting == 0.0


def test_the_threshold_is_strictly_above_127_of_255() -> None:
    mask = np.ones((1, 1, 2), bool)
    found = localization(np.array([[[127 / 255, 128 / 255]]]), mask, [1.0])
    assert found.by_pixel.recall == 0.5


@given(st.integers(0, 2**32 - 1))
def test_pixel_scores_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, truth = rng.random(50) > 0.6, rng.random(50) > 0.7
    found[0] = truth[0] = True
    mine = pixel_scores(found, truth)
    assert mine.precision == pytest.approx(precision_score(truth, found))
    assert mine.recall == pytest.approx(recall_score(truth, found))
    assert mine.f1 == pytest.approx(f1_score(truth, found))
    assert mine.iou == pytest.approx(jaccard_score(truth, found))


def test_a_good_image_that_stays_empty_is_right_and_one_that_does_not_is_wrong() -> None:
    empty = np.zeros((1, 4, 4), bool)
    assert localization(np.zeros((1, 4, 4)), empty, [0.1]).by_image.iou == 1.0
    assert localization(half().astype(float), empty, [0.9]).by_image.iou == 0.0


def test_by_image_and_by_pixel_differ_where_sizes_do() -> None:
    truth = np.zeros((2, 10, 10), bool)
    truth[0, 0, 0] = True
    truth[1, :5] = True
    maps = np.zeros((2, 10, 10))
    maps[1, :5] = 1.0
    found = localization(maps, truth, [0.9, 0.9])
    assert found.by_image.recall == 0.5
    assert found.by_pixel.recall == pytest.approx(50 / 51)


def test_a_flat_map_points_nowhere() -> None:
    assert not pointing(np.ones((4, 4)), half()[0])


def test_half_the_mass_inside_weighs_half() -> None:
    assert weighting(np.ones((4, 4)), half()[0]) == 0.5


def test_recall_falls_with_the_threshold() -> None:
    maps = np.random.default_rng(0).random((1, 8, 8))
    recalls = [score.recall for score in sweep(maps, maps > 0.5, [0.9]).values()]
    assert recalls == sorted(recalls, reverse=True)


def test_maps_that_are_not_scaled_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected maps within 0..1; divide"):
        localization(half() * 255.0, half(), [0.9])


@given(st.integers(0, 2**32 - 1))
def test_counted_image_by_image_the_scores_are_those_of_all_at_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ranks = rng.permutation(4 * 6 * 7).reshape(4, 6, 7)  # no two pixels share a level of the counter
    maps, truth = ((ranks + 0.5) / ranks.size).astype(np.float32), rng.random((4, 6, 7)) > 0.7
    truth[3] = False
    chances = [0.9, 0.2, 0.7, 0.6]
    counter = LocalizationCounter()
    for one, mask, chance in zip(maps, truth, chances, strict=True):
        counter.add(one, mask, chance)
    expected, found = localization(maps, truth, chances), counter.result()
    assert (found.images, found.defective) == (expected.images, expected.defective)
    for name in ("by_image", "by_pixel"):
        for key, value in vars(getattr(expected, name)).items():
            assert getattr(getattr(found, name), key) == pytest.approx(value)
    assert (found.pointing, found.weighting) == (expected.pointing, expected.weighting)
    assert found.auroc == pytest.approx(expected.auroc)
    assert found.average_precision == pytest.approx(expected.average_precision)
    for at, score in sweep(maps, truth, chances).items():
        assert counter.sweep([at])[at] == score


def test_counted_pixels_at_the_threshold_are_not_found() -> None:
    counter = LocalizationCounter()
    counter.add(np.array([[127 / 255, 127.01 / 255]]), np.ones((1, 2), bool), 1.0)
    assert counter.result().by_pixel.recall == 0.5


def test_nothing_counted_and_maps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one map"):
        LocalizationCounter().result()
    with pytest.raises(ValueError, match="expected a map and a mask of one shape"):
        LocalizationCounter().add(np.zeros((2, 2)), np.zeros((2, 3), bool), 1.0)
    with pytest.raises(ValueError, match=r"expected a map within 0..1; divide it"):
        LocalizationCounter().add(np.full((2, 2), 9.0), np.zeros((2, 2), bool), 1.0)
