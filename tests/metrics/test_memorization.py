"""Memorization: a copier is caught, a fair sample is not."""

from __future__ import annotations

import json

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from metrics.memorization import copying_score, memorization, nearest
from tests.builders.scratches import SIDE, defect, surface, with_defect

Features = npt.NDArray[np.float64]


def _sampled(seed: int, count: int, width: int = 16) -> Features:
    return np.random.default_rng(seed).normal(size=(count, width))


def _images(seed: int, count: int) -> list[npt.NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return [with_defect(surface(rng), defect(rng, ("scratch", "pit")[index % 2])) for index in range(count)]


def _looks(thumbnails: list[npt.NDArray[np.uint8]]) -> Features:
    """Pixels at a quarter of the size: all that these tests need of an extractor."""
    small = [cv2.resize(thumbnail, (SIDE // 4, SIDE // 4), interpolation=cv2.INTER_AREA) for thumbnail in thumbnails]
    return np.stack(small).reshape(len(small), -1).astype(np.float64)


TRAIN, TEST = _images(0, 120), _images(1, 60)


def test_training_images_saved_as_jpeg_with_a_little_noise_are_caught() -> None:
    rng = np.random.default_rng(2)
    memorized = []
    for thumbnail in TRAIN[:60]:
        noisy = np.clip(thumbnail + rng.normal(0, 4, thumbnail.shape), 0, 255).astype(np.uint8)
        data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
        memorized.append(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)[..., None].astype(np.uint8))
    result = memorization(train=_looks(TRAIN), test=_looks(TEST), fake=_looks(memorized))
    assert result.memorized
    assert "memorized" in result.verdict
    assert result.c_t is not None
    assert result.c_t < -5
    assert result.p_value is not None
    assert result.p_value < 1e-6
    assert result.share_memorized > 0.9
    assert result.index[:60].tolist() == list(range(60))


def test_mirrored_training_images_are_caught_when_the_training_set_is_given_mirrored_too() -> None:
    memorized = [thumbnail[:, ::-1] for thumbnail in TRAIN[:40]]
    both = np.concatenate([_looks(TRAIN), _looks([thumbnail[:, ::-1] for thumbnail in TRAIN])])
    assert memorization(train=both, test=_looks(TEST), fake=_looks(memorized)).memorized


def test_a_fair_sample_is_not_accused() -> None:
    train, test = _looks(TRAIN), _looks(TEST)
    for seed in range(3, 9):
        result = memorization(train=train, test=test, fake=_looks(_images(seed, 60)))
        assert not result.memorized, seed
        assert result.c_t is not None
        assert abs(result.c_t) < 3


def test_a_few_memorized_images_among_many_others_are_caught() -> None:
    train, fair = _sampled(0, 400), _sampled(1, 190)
    memorized = train[:25] + 0.05 * _sampled(2, 25)
    result = memorization(train=train, test=_sampled(3, 150), fake=np.concatenate([fair, memorized]))
    assert result.memorized
    assert {pair.fake for pair in result.closest(25)} == set(range(190, 215))
    assert {pair.train for pair in result.closest(25)} == set(range(25))


def test_memorization_that_another_mix_of_images_hides_shows_in_the_clusters() -> None:
    def mixed(seed: int, tight: int, wide: int) -> Features:
        return np.concatenate([_sampled(seed, tight), 5 * _sampled(seed + 1, wide) + 60])

    train, test = mixed(0, 200, 200), mixed(2, 100, 40)
    # Memorized rows of both sorts, but mostly of the sort whose images are farther apart.
    noisy = train + 0.5 * np.concatenate([_sampled(4, 200), 5 * _sampled(5, 200)])
    result = memorization(train=train, test=test, fake=np.concatenate([noisy[180:200], noisy[200:]]), clusters=2)
    assert result.c_t is not None
    assert result.c_t > 0
    assert result.c_t_clusters is not None
    assert result.c_t_clusters < -5
    assert result.memorized


def test_images_far_from_the_training_images_are_marked_as_far() -> None:
    result = memorization(train=_sampled(0, 200), test=_sampled(1, 80), fake=2 * _sampled(2, 80))
    assert not result.memorized
    assert result.c_t is not None
    assert result.c_t > 3
    assert "farther" in result.verdict


def test_the_score_is_the_mann_whitney_z_and_changes_sign_with_the_sides() -> None:
    unseen, fake = np.asarray([3.0, 4.0, 5.0]), np.asarray([1.0, 2.0])
    assert copying_score(unseen, fake) == pytest.approx(-3 / np.sqrt(3))
    assert copying_score(fake, unseen) == pytest.approx(3 / np.sqrt(3))
    assert copying_score(np.ones(5), np.ones(5)) == 0


def test_nearest_keeps_the_small_distances_of_memorized_rows() -> None:
    among = _sampled(0, 50) + 1e6
    index, distance = nearest(among[::-1] + 1e-3, among)
    assert index.tolist() == list(range(50))[::-1]
    np.testing.assert_allclose(distance, 4e-3, rtol=1e-4)


def test_too_few_images_are_measured_but_not_tested() -> None:
    result = memorization(train=_sampled(0, 10), test=_sampled(1, 3), fake=_sampled(2, 8))
    assert result.c_t is None
    assert not result.memorized
    assert "the test needs 5 of each" in result.why
    assert result.distance.shape == (8,)
    json.dumps(result.to_dict(), allow_nan=False)


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected test features \(N, 16\), got \(5, 8\)"):
        memorization(train=_sampled(0, 10), test=_sampled(1, 5, 8), fake=_sampled(2, 8))
    with pytest.raises(ValueError, match="expected finite fake features"):
        memorization(train=_sampled(0, 10), test=_sampled(1, 5), fake=np.full((5, 16), np.nan))
