"""Feature space: points stay where their formula says, and keep their class."""

from __future__ import annotations

import numpy as np
import pytest

from augment.feature_space import extrapolate, interpolate, perturb
from augment.image_features import PrincipalComponents, fourier_features, fourier_length
from tests.augment.surfaces import surface

FEATURES = np.random.default_rng(0).normal(size=(30, 5)) + np.repeat([[0.0], [20.0], [40.0]], 10, axis=0)
LABELS = ["crack"] * 10 + ["pit"] * 10 + ["spot"] * 10


def test_interpolation_stays_in_the_segment_of_two_samples_of_its_class() -> None:
    made = interpolate(FEATURES, LABELS, 60, seed=1)
    for value, label, j, k, amount in zip(made.values, made.labels, made.first, made.second, made.amount, strict=True):
        assert label == LABELS[j] == LABELS[k]
        assert j != k
        assert 0 <= amount <= 1
        np.testing.assert_allclose(value, FEATURES[j] + amount * (FEATURES[k] - FEATURES[j]), atol=1e-12)
    assert {str(name): int((made.labels == name).sum()) for name in set(LABELS)} == dict.fromkeys(set(LABELS), 20)


def test_extrapolation_is_the_formula_of_devries_and_taylor() -> None:
    made = extrapolate(FEATURES, LABELS, 30, amount=0.5)
    cj, ck = FEATURES[made.first], FEATURES[made.second]
    np.testing.assert_allclose(made.values, (cj - ck) * 0.5 + cj, atol=1e-12)
    assert (np.linalg.norm(made.values - ck, axis=1) > np.linalg.norm(cj - ck, axis=1)).all()


def test_the_other_end_is_a_near_neighbour() -> None:
    line = np.arange(8.0)[:, None]
    made = interpolate(line, ["crack"] * 8, 50, neighbors=2)
    assert np.abs(made.first - made.second).max() <= 2


def test_noise_has_the_deviation_of_each_feature_of_the_class() -> None:
    wide = np.random.default_rng(1).normal(size=(200, 2)) * [1.0, 10.0]
    made = perturb(wide, ["crack"] * 200, 4000, amount=0.5)
    spread = (made.values - wide[made.first]).std(axis=0) / wide.std(axis=0)
    np.testing.assert_allclose(spread, 0.5, rtol=0.06)
    assert (made.second == -1).all()
    assert np.array_equal(
        perturb(wide, ["crack"] * 200, 10, amount=0).values, wide[perturb(wide, ["crack"] * 200, 10, amount=0).first]
    )


def test_a_class_of_one_sample_is_perturbed_but_not_interpolated() -> None:
    features, labels = [[0.0], [1.0], [9.0]], ["crack", "crack", "pit"]
    assert set(interpolate(features, labels, 6).labels.tolist()) == {"crack"}
    assert set(perturb(features, labels, 6).labels.tolist()) == {"crack", "pit"}
    with pytest.raises(ValueError, match="class of two samples"):
        interpolate([[1.0], [2.0]], ["crack", "pit"], 1)


@pytest.mark.parametrize("make", [interpolate, extrapolate, perturb])
def test_the_same_seed_gives_the_same_points_and_the_input_stays(make: object) -> None:
    before = FEATURES.copy()
    assert callable(make)
    one, two, other = make(FEATURES, LABELS, 9, seed=4), make(FEATURES, LABELS, 9, seed=4), make(FEATURES, LABELS, 9)
    assert np.array_equal(one.values, two.values)
    assert not np.array_equal(one.values, other.values)
    assert np.array_equal(FEATURES, before)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="N labels"):
        interpolate(FEATURES, LABELS[:-1], 3)
    with pytest.raises(ValueError, match="lambda within"):
        interpolate(FEATURES, LABELS, 3, amount=1.5)
    with pytest.raises(ValueError, match="from 0"):
        extrapolate(FEATURES, LABELS, 3, amount=-0.1)
    with pytest.raises(ValueError, match="finite"):
        perturb([[np.nan]], ["crack"], 1)


def _stripes(shape: tuple[int, int], across: float, down: float) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(128 + 100 * np.sin(2 * np.pi * (across * x + down * y)), np.uint8)[..., None]


def test_fourier_features_have_one_length_and_tell_frequency_and_direction() -> None:
    vertical, fine = (fourier_features(_stripes(shape, f, 0)) for shape, f in (((64, 90), 0.1), ((128, 51), 0.3)))
    level = fourier_features(_stripes((64, 64), 0, 0.1))
    assert len(vertical) == len(fine) == len(level) == fourier_length()
    assert int(vertical[:16].argmax()) == int(0.1 * 2 * 16)
    assert int(fine[:16].argmax()) == int(0.3 * 2 * 16)
    assert int(vertical[16:].argmax()) == 0
    assert int(level[16:].argmax()) == 6  # of 12 sectors of the half circle
    assert vertical[16:].sum() == pytest.approx(1)


def test_fourier_features_do_not_see_brightness_and_take_an_even_image() -> None:
    picture = surface(0)
    np.testing.assert_allclose(fourier_features(picture), fourier_features(picture + np.uint8(30)), atol=1e-5)
    assert np.isfinite(fourier_features(np.full((20, 20, 3), 90, np.uint8))).all()
    with pytest.raises(ValueError, match="at least 4 x 4"):
        fourier_features(np.zeros((2, 9, 1), np.uint8))


def test_principal_components_are_orthonormal_and_rebuild_the_set() -> None:
    images = [surface(i) for i in range(6)]
    found = PrincipalComponents.fit(images, 10, side=16)
    assert found.axes.shape == (5, 256)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(5), atol=1e-9)
    assert (np.diff(found.variance) <= 1e-9).all()
    features = found.transform(images)
    np.testing.assert_allclose(features.var(axis=0, ddof=1), found.variance, rtol=1e-6)
    again = PrincipalComponents.fit([*images], 10, side=16).transform(images)
    assert np.array_equal(features, again)
    rebuilt = found.transform([np.repeat(np.repeat(p, 1, 0), 1, 1) for p in found.inverse(features)])
    np.testing.assert_allclose(rebuilt, features, atol=0.05)
    with pytest.raises(ValueError, match="at least 2 images"):
        PrincipalComponents.fit(images[:1], 2)
