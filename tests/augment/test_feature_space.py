"""Feature space: points stay where their formula says, and keep their class."""

from __future__ import annotations

import numpy as np
import pytest

from augment.transforms.feature_space import METHODS, augment_features, extrapolate, interpolate, perturb

FEATURES = np.random.default_rng(0).normal(size=(30, 5)) + np.repeat([[0.0], [20.0], [40.0]], 10, axis=0)
LABELS = ["crack"] * 10 + ["pit"] * 10 + ["spot"] * 10


def test_interpolation_stays_in_the_segment_of_two_samples_of_its_class() -> None:
    points = interpolate(FEATURES, LABELS, 60, seed=1)
    for value, label, j, k, amount in zip(
        points.values, points.labels, points.first, points.second, points.amount, strict=True
    ):
        assert label == LABELS[j] == LABELS[k]
        assert j != k
        assert 0 <= amount <= 1
        np.testing.assert_allclose(value, FEATURES[j] + amount * (FEATURES[k] - FEATURES[j]), atol=1e-12)
    assert {str(name): int((points.labels == name).sum()) for name in set(LABELS)} == dict.fromkeys(set(LABELS), 20)


def test_extrapolation_is_the_formula_of_devries_and_taylor() -> None:
    points = extrapolate(FEATURES, LABELS, 30, amount=0.5)
    cj, ck = FEATURES[points.first], FEATURES[points.second]
    np.testing.assert_allclose(points.values, (cj - ck) * 0.5 + cj, atol=1e-12)
    assert (np.linalg.norm(points.values - ck, axis=1) > np.linalg.norm(cj - ck, axis=1)).all()


def test_the_other_end_is_a_near_neighbor() -> None:
    line = np.arange(8.0)[:, None]
    points = interpolate(line, ["crack"] * 8, 50, neighbors=2)
    assert np.abs(points.first - points.second).max() <= 2


def test_noise_has_the_deviation_of_each_feature_of_the_class() -> None:
    wide = np.random.default_rng(1).normal(size=(200, 2)) * [1.0, 10.0]
    points = perturb(wide, ["crack"] * 200, 4000, amount=0.5)
    spread = (points.values - wide[points.first]).std(axis=0) / wide.std(axis=0)
    np.testing.assert_allclose(spread, 0.5, rtol=0.06)
    assert (points.second == -1).all()
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


def test_bad_input_is_an_error() -> None:
    with pytest.raises(ValueError, match="N labels"):
        interpolate(FEATURES, LABELS[:-1], 3)
    with pytest.raises(ValueError, match="lambda within"):
        interpolate(FEATURES, LABELS, 3, amount=1.5)
    with pytest.raises(ValueError, match="from 0"):
        extrapolate(FEATURES, LABELS, 3, amount=-0.1)
    with pytest.raises(ValueError, match="finite"):
        perturb([[np.nan]], ["crack"], 1)


@pytest.mark.parametrize("method", METHODS)
def test_a_probe_gets_its_features_first_and_equally_many_new_ones_of_each_class(method: str) -> None:
    features, labels = [[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [9.0, 9.0], [8.0, 9.0]], [*["crack"] * 3, *["pit"] * 2]
    values, names = augment_features(features, labels, method=method, factor=2, seed=3)
    assert values.shape == (15, 2)
    assert values[:5].tolist() == features
    assert names[:5] == labels
    assert (names[5:].count("crack"), names[5:].count("pit")) == (5, 5)
    again, _ = augment_features(features, labels, method=method, factor=2, seed=3)
    assert np.array_equal(values, again)
    if method == "interpolate":
        new = values[5:][np.asarray(names[5:]) == "crack"]
        assert (new.min(axis=0) >= [0, 1]).all()
        assert (new.max(axis=0) <= [2, 3]).all()


def test_features_without_a_factor_are_those_given_and_an_unknown_method_is_an_error() -> None:
    values, names = augment_features(FEATURES, LABELS, factor=0)
    assert np.array_equal(values, FEATURES)
    assert names == LABELS
    with pytest.raises(ValueError, match="expected a method of interpolate"):
        augment_features(FEATURES, LABELS, method="mix")
    with pytest.raises(ValueError, match="factor from 0"):
        augment_features(FEATURES, LABELS, factor=-1)
