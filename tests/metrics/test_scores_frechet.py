"""The Frechet distance and its extrapolation against closed forms, against themselves and against published code."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.seeding import numpy_generator
from metrics.scores.frechet import frechet_distance
from metrics.scores.infinity import frechet_infinity
from metrics.scores.intervals import frechet_influence

# Rows of both sets and columns that between them take every way through the code.
WAYS = [(10, 12, 30), (700, 650, 720), (500, 20, 60), (300, 250, 20), (60, 20, 50), (900, 100, 200)]


def rows(count: int, columns: int, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> NDArray[np.float64]:
    generator = numpy_generator(seed, "rows")
    return scale * generator.standard_normal((count, columns)) / np.sqrt(np.arange(1, columns + 1)) + shift


def with_covariance(count: int, root: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Rows whose sample mean is exactly zero and whose sample covariance is exactly root^T root."""
    raw = numpy_generator(seed, "white").standard_normal((count, len(root)))
    raw -= raw.mean(0)
    return np.linalg.qr(raw)[0] * np.sqrt(count - 1) @ root


@pytest.mark.parametrize(("n", "m", "columns"), WAYS)
def test_distance_is_that_of_torch_fidelity_and_clean_fid(n: int, m: int, columns: int) -> None:
    from cleanfid.fid import frechet_distance as clean
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    real, fake = rows(n, columns, 1), rows(m, columns, 2, 1.4, 0.3)
    ours = frechet_distance(real=real, fake=fake)
    moments = [fid_features_to_statistics(torch.from_numpy(x)) for x in (fake, real)]
    theirs = fid_statistics_to_metric(*moments, verbose=False)["frechet_inception_distance"]
    assert ours == pytest.approx(theirs, rel=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cleaned = clean(*(s[k] for s in moments for k in ("mu", "sigma")))
    assert ours == pytest.approx(cleaned, rel=1e-5)


@pytest.mark.parametrize(("n", "m", "columns"), [*WAYS, (640, 600, 550)])
def test_all_ways_give_the_sum_of_singular_values(n: int, m: int, columns: int) -> None:
    real, fake = rows(n, columns, 1), rows(m, columns, 2, 1.4, 0.3)
    a, b = ((x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (real, fake))
    trace = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    expected = np.square(real.mean(0) - fake.mean(0)).sum() + np.square(a).sum() + np.square(b).sum() - 2 * trace
    assert frechet_distance(real=real, fake=fake) == pytest.approx(expected, rel=1e-7)


def test_closed_form_of_diagonal_gaussians() -> None:
    deviations = np.array([3.0, 2.0, 1.0, 0.5]), np.array([1.0, 2.5, 1.0, 0.1])
    real, fake = (with_covariance(50, np.diag(d), i) for i, d in enumerate(deviations))
    expected = np.square(deviations[0] - deviations[1]).sum() + 4 * 0.25
    assert frechet_distance(real=real, fake=fake + 0.5) == pytest.approx(expected, rel=1e-9)


def test_closed_form_of_gaussians_that_do_not_commute() -> None:
    first, second = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 9.0]])
    real, fake = (with_covariance(40, np.linalg.cholesky(c).T, i) for i, c in enumerate((first, second)))
    # For two by two matrices, the trace of the root is sqrt(trace + 2 sqrt(determinant)).
    product = first @ second
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    assert frechet_distance(real=real, fake=fake) == pytest.approx(4 + 10 - 2 * root, rel=1e-9)


@pytest.mark.parametrize(("n", "columns"), [(10, 30), (700, 720), (300, 20)])
def test_a_set_is_at_distance_zero_from_itself(n: int, columns: int) -> None:
    real = rows(n, columns)
    assert frechet_distance(real=real, fake=real[::-1].copy()) == pytest.approx(0, abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(2, 40),
    m=st.integers(2, 40),
    columns=st.integers(1, 30),
    seed=st.integers(0, 10**6),
    scale=st.floats(0.1, 10),
)
def test_symmetric_never_negative_and_quadratic_in_the_scale(
    n: int, m: int, columns: int, seed: int, scale: float
) -> None:
    real, fake = rows(n, columns, seed), rows(m, columns, seed + 1, 1.5, 0.1)
    distance = frechet_distance(real=real, fake=fake)
    assert distance >= 0
    assert frechet_distance(real=fake, fake=real) == pytest.approx(distance, rel=1e-6, abs=1e-9)
    scaled = frechet_distance(real=scale * real, fake=scale * fake)
    assert scaled == pytest.approx(scale**2 * distance, rel=1e-6, abs=1e-9)


def test_grows_with_noise() -> None:
    real = rows(200, 30)
    noise = numpy_generator(5, "noise").standard_normal(real.shape)
    distances = [frechet_distance(real=real, fake=real + strength * noise) for strength in (0, 0.1, 0.3, 1, 3)]
    assert distances == sorted(distances)


def test_features_that_never_fire_do_not_break_the_cholesky_way() -> None:
    real, fake = rows(300, 20, 1), rows(300, 20, 2, 1.5)
    dead = np.zeros((300, 5))
    padded = frechet_distance(real=np.hstack([real, dead]), fake=np.hstack([fake, dead]))
    assert padded == pytest.approx(frechet_distance(real=real, fake=fake), rel=1e-6)


def test_numpy_torch_and_float32_are_taken_alike() -> None:
    real, fake = rows(30, 40, 1).astype(np.float32), rows(20, 40, 2).astype(np.float32)
    assert frechet_distance(real=real, fake=fake) == frechet_distance(
        real=torch.from_numpy(real), fake=torch.from_numpy(fake).double()
    )


@pytest.mark.parametrize(("n", "m", "columns"), [(12, 9, 30), (40, 35, 8), (40, 7, 12)])
def test_influence_is_the_derivative_by_a_rows_weight(n: int, m: int, columns: int) -> None:
    """Against a difference quotient: moments with weights, the divisor N - 1 taken relative to their sum."""
    real, fake = rows(n, columns, 1), rows(m, columns, 2, 1.5, 0.2)

    def moments(x: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        weights = weights / weights.sum()
        mean = weights @ x
        return mean, np.sqrt(weights * len(x) / (len(x) - 1))[:, None] * (x - mean)

    def distance(w: NDArray[np.float64], v: NDArray[np.float64]) -> float:
        (mean, a), (other, b) = moments(real, w), moments(fake, v)
        trace = np.linalg.svd(a @ b.T, compute_uv=False).sum()
        return float(np.square(mean - other).sum() + np.square(a).sum() + np.square(b).sum() - 2 * trace)

    found = frechet_influence(torch.from_numpy(real), torch.from_numpy(fake))
    assert found.value == pytest.approx(frechet_distance(real=real, fake=fake), rel=1e-6)
    step = 1e-5
    for count, influence, side in ((n, found.real, 0), (m, found.fake, 1)):
        for row in (0, count - 1):
            weights = [np.ones(n), np.ones(m)]
            ends = []
            for sign in (1, -1):
                weights[side][row] = 1 + sign * step * count
                ends.append(distance(*weights))
            slope = (ends[0] - ends[1]) / (2 * step)
            assert float(influence[row]) == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_influence_from_inner_products_is_that_from_features() -> None:
    real, fake = (torch.from_numpy(rows(c, 40, s)) for c, s in ((20, 1), (25, 2)))
    direct, shared = frechet_influence(real, fake), frechet_influence(real, fake, real @ fake.T)
    torch.testing.assert_close(shared.real, direct.real, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(shared.fake, direct.fake, rtol=1e-6, atol=1e-8)


def test_extrapolation_takes_the_bias_off() -> None:
    """Two samples of one Gaussian: distance zero, and a plug-in value that is all bias."""
    found = [frechet_infinity(real=rows(200, 40, s), fake=rows(200, 40, 100 + s), seed=s) for s in range(6)]
    plain = np.mean([f.distances[-1] for f in found])
    assert abs(np.mean([f.value for f in found])) < 0.1 * plain
    assert all(f.slope > 0 and list(f.distances) == sorted(f.distances, reverse=True) for f in found)


def test_extrapolation_of_the_paper_thins_the_synthetic_set_alone() -> None:
    real, fake = rows(3000, 12, 1), rows(150, 12, 2, 1.3, 0.2)
    both, paper = (frechet_infinity(real=real, fake=fake, seed=0, thinned=t) for t in ("both", "fake"))
    assert paper.value == pytest.approx(both.value, rel=0.15)
    assert paper.value < paper.distances[-1] == both.distances[-1]


def test_extrapolation_repeats_with_its_seed() -> None:
    real, fake = rows(40, 50, 1), rows(30, 50, 2)
    assert frechet_infinity(real=real, fake=fake, seed=3).value == frechet_infinity(real=real, fake=fake, seed=3).value
    assert frechet_infinity(real=real, fake=fake, seed=3).value != frechet_infinity(real=real, fake=fake, seed=4).value
