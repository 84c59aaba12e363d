"""The table: every score has its counts, interval, baseline and warning, or says why it has no value."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.seeding import numpy_generator
from metrics.scores.families import inception_score
from metrics.scores.frechet import frechet_distance
from metrics.scores.kernel import kernel_distance
from metrics.scores.manifold import manifold_scores, realism
from metrics.scores.score import Score, count_warning
from metrics.scores.table import score_table

NAMES = ["fid", "fid_infinity", "kid", "precision", "recall", "density", "coverage", "is"]


def rows(count: int, columns: int = 12, seed: int = 0, scale: float = 1.0) -> NDArray[np.float32]:
    return (scale * numpy_generator(seed, "rows").standard_normal((count, columns))).astype(np.float32)


def table(
    real: NDArray[np.float32], fake: NDArray[np.float32], logits: NDArray[np.float32] | None = None, seed: int = 0
) -> dict[str, Score]:
    found = score_table(
        real=real, fake=fake, logits=logits, extractor="inception", resize="299 px", seed=seed, resamples=40
    )
    return {score.name: score for score in found}


def test_inception_score_is_that_of_torch_fidelity_in_the_given_order() -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = rows(103, 20, 1, 3.0)
    theirs = isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=False)
    ours = inception_score(logits, seed=None)
    assert ours.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
    assert ours.std == pytest.approx(theirs["inception_score_std"], rel=1e-9)
    order = np.random.RandomState(2020).permutation(103)
    shuffled = isc_features_to_metric(torch.from_numpy(logits))
    assert inception_score(logits[order], seed=None).mean == pytest.approx(shuffled["inception_score_mean"], rel=1e-12)


def test_inception_score_of_sure_and_of_unsure_networks() -> None:
    sure = 1000 * np.eye(8)[np.arange(80) % 8]
    assert inception_score(sure, splits=1).mean == pytest.approx(8)
    assert inception_score(np.zeros((20, 8)), splits=2).mean == pytest.approx(1)
    assert inception_score(rows(40, 8)) == inception_score(rows(40, 8), seed=0) != inception_score(rows(40, 8), seed=1)
    with pytest.raises(ValueError, match="between 1 and 5 splits"):
        inception_score(rows(5, 8))


def test_every_score_has_all_that_is_needed_to_read_it() -> None:
    found = table(rows(80, seed=1), rows(60, seed=2, scale=1.3), rows(60, 10, 3))
    assert list(found) == NAMES
    for name, score in found.items():
        assert score.value is not None, name
        assert score.low is not None, name
        assert score.high is not None, name
        assert score.low <= score.value <= score.high, name
        assert (score.baseline is None) == (name == "is"), name
        assert (score.n_real, score.n_fake, score.extractor) == (80, 60, "inception"), name
        assert score.estimator.endswith("; 299 px"), name
        assert json.loads(json.dumps(score.to_dict(), allow_nan=False)) == score.to_dict(), name
    assert {n for n, s in found.items() if s.better == "lower"} == {"fid", "fid_infinity", "kid"}
    assert found["fid"].value == frechet_distance(real=rows(80, seed=1), fake=rows(60, seed=2, scale=1.3))


def test_same_seed_same_table_and_other_networks_are_named() -> None:
    real, fake = rows(60, seed=1), rows(60, seed=2)
    assert table(real, fake) == table(real, fake)
    assert table(real, fake)["kid"].low != table(real, fake, seed=1)["kid"].low
    named = score_table(real=real, fake=fake, logits=None, extractor="efficientnet_lite0", resize="224 px", seed=0)
    assert [s.name for s in named] == [f"{name}_efficientnet_lite0" for name in NAMES]


def test_the_real_baseline_is_what_a_second_real_sample_scores() -> None:
    """Synthetic images from the real distribution, half as many: their scores lie about the baseline."""
    found = table(rows(400, 6, 1), rows(200, 6, 2))
    for name in ("precision", "recall", "density", "coverage"):
        value, baseline = found[name].value, found[name].baseline
        assert value is not None
        assert baseline is not None
        assert value == pytest.approx(baseline, abs=0.12), name
    fid = found["fid"]
    assert fid.baseline is not None
    assert fid.value is not None
    assert 0 < fid.value < 3 * fid.baseline
    far = table(rows(400, 6, 1), rows(200, 6, 2, 2.0))["fid"]
    assert far.low is not None
    assert fid.baseline < far.low


def test_a_fully_collapsed_set_has_its_scores_and_a_warning() -> None:
    real = rows(40)
    found = table(real, np.repeat(real[:1], 40, axis=0))
    variance = float(np.var(real.astype(np.float64), axis=0, ddof=1).sum())
    shift = float(np.square(real[0].astype(np.float64) - real.mean(0, dtype=np.float64)).sum())
    assert found["fid"].value == pytest.approx(variance + shift)
    assert found["recall"].value == pytest.approx(1 / 40)  # the one real image that it repeats
    for name in ("fid", "fid_infinity", "kid", "precision", "recall", "density", "coverage"):
        score = found[name]
        assert score.value is not None, name
        assert "look the same" in score.warning, name
    assert found["fid"].value > table(real, rows(40))["fid"].value


def test_what_cannot_be_computed_says_why_and_the_rest_goes_on() -> None:
    found = table(rows(20), rows(5))
    assert found["precision"].value is None
    assert "at least 6 fake rows, got 5" in found["precision"].why
    assert "at least 12 fake rows, got 5" in found["fid_infinity"].why
    assert found["is"].why == "this network has no class logits"
    assert found["fid"].value is not None
    assert found["kid"].value is not None
    # Halves of too few real images: a score without a baseline.
    assert table(rows(10), rows(20))["precision"].baseline is None


BROKEN = rows(20)
BROKEN[3, 4] = math.nan


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (rows(1), rows(20), "at least 2 real rows, got 1"),
        (rows(20), rows(1), "at least 2 fake rows, got 1"),
        (rows(20), rows(0), "at least 2 fake rows, got 0"),
        (rows(20), rows(20, 9), "features of one dimension, got 12 real and 9 fake"),
        (rows(20), BROKEN, "NaN or infinity in 1 of 20 rows"),
        (BROKEN, rows(20), "finite real features"),
        (rows(20), rows(20) * np.float32(np.inf), "NaN or infinity in 20 of 20 rows"),
        (np.ones((20, 12), np.float32), rows(20), "real features that vary, got 20 equal rows"),
        (rows(20)[0], rows(20), r"shape \(N, D\), got \(12,\)"),
        (rows(20, 0), rows(20, 0), r"shape \(N, D\), got \(20, 0\)"),
    ],
)
def test_bad_features_are_refused_by_functions_and_stand_in_the_table(
    real: NDArray[np.float32], fake: NDArray[np.float32], message: str
) -> None:
    for function in (frechet_distance, kernel_distance):
        with pytest.raises(ValueError, match=message):
            function(real=real, fake=fake)
    for name, score in table(real, fake).items():
        assert (score.value, score.low, score.high, score.baseline, score.warning) == (None,) * 4 + ("",), name
        assert score.why, name


def test_bad_features_are_refused_by_neighbors_too() -> None:
    with pytest.raises(ValueError, match="finite fake features"):
        manifold_scores(real=rows(20), fake=BROKEN)
    with pytest.raises(ValueError, match="one dimension, got 12 real and 9 fake"):
        realism(real=rows(20), fake=rows(20, 9))
    with pytest.raises(ValueError, match="finite logit features"):
        inception_score(BROKEN)


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 resamples"):
        score_table(real=rows(20), fake=rows(20), logits=None, extractor="x", resize="", seed=0, resamples=5)


@pytest.mark.parametrize(
    ("name", "n", "m", "dimensions", "warned"),
    [
        ("fid", 2000, 100, 1280, "100 images, 1280 features: mostly bias; use kid"),
        ("fid", 2000, 2000, 1280, "biased upwards"),
        ("fid", 9000, 9000, 1280, ""),
        ("fid_infinity", 900, 900, 1280, "only part of the bias"),
        ("fid_infinity", 1900, 1900, 1280, "only part of the bias"),
        ("fid_infinity", 2000, 2000, 1280, ""),
        ("kid", 20, 900, 1280, "rough"),
        ("kid", 50, 900, 1280, ""),
        ("precision", 900, 30, 1280, "too few"),
        ("recall", 900, 100, 1280, "unequal"),
        ("coverage", 500, 500, 1280, ""),
        ("is", 50, 500, 1000, "biased downwards"),
        ("is", 50, 5000, 1000, ""),
    ],
)
def test_counts_too_small_for_the_estimator_are_warned_of(
    name: str, n: int, m: int, dimensions: int, warned: str
) -> None:
    warning = count_warning(name, n, m, dimensions)
    assert warned in warning
    assert bool(warning) == bool(warned)
