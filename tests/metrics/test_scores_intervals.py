"""The 95 % intervals hold what they are said to hold, measured on Gaussians with a known distance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.seeding import numpy_generator
from metrics.scores.frechet import frechet_distance
from metrics.scores.infinity import frechet_infinity
from metrics.scores.intervals import (
    Influence,
    Interval,
    bootstrap,
    frechet_influence,
    half_sampling,
    inception_influence,
    kernel_influence,
    or_wilson,
)
from metrics.scores.kernel import kernel_distance
from metrics.scores.manifold import ManifoldHalves, manifold_scores

RUNS = 60


def pair(run: int, n: int, columns: int, shift: float, scale: float) -> tuple[Tensor, Tensor]:
    """Two Gaussian samples (n, columns), the second moved along every axis and wider."""
    generator = numpy_generator(run, "pair", n, columns)
    real, fake = (torch.from_numpy(generator.standard_normal((n, columns))) for _ in range(2))
    return real, fake * scale + shift


def share(intervals: list[Interval], truth: float) -> float:
    return float(np.mean([i.low <= truth <= i.high for i in intervals]))


def test_interval_of_a_mean_is_that_of_the_normal_approximation() -> None:
    values = torch.from_numpy(numpy_generator(0, "values").standard_normal(400))
    moved = Influence(float(values.mean()), values[:0], values - values.mean())
    interval = bootstrap(moved, resamples=4000)
    half = 1.96 * float(values.std()) / 20
    assert interval.low == pytest.approx(moved.value - half, abs=0.1 * half)
    assert interval.high == pytest.approx(moved.value + half, abs=0.1 * half)
    assert bootstrap(moved) == bootstrap(moved) != bootstrap(moved, seed=1)
    assert bootstrap(moved, least=0.5).low == 0.5


def kernel_mean(first: Tensor, second: Tensor) -> float:
    """Mean of (x.y / d + 1)^3 over independent unit Gaussians with these means, from the three moments of x.y."""
    columns, inner = len(first), float(first @ second)
    mean = 1 + inner / columns
    variance = (float(first @ first + second @ second) + columns) / columns**2
    return mean**3 + 3 * mean * variance + 6 * inner / columns**3


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_kernel_interval_holds_the_known_distance(shift: float) -> None:
    columns = 8
    means = torch.zeros(columns), torch.full((columns,), shift)
    truth = kernel_mean(means[0], means[0]) + kernel_mean(means[1], means[1]) - 2 * kernel_mean(*means)
    pairs = [pair(r, 80, columns, shift, 1.0) for r in range(RUNS)]
    assert share([bootstrap(kernel_influence(*p), seed=r) for r, p in enumerate(pairs)], truth) >= 0.85


@pytest.mark.parametrize(("n", "columns", "shift", "scale"), [(80, 120, 0.2, 1.5), (120, 10, 0.3, 1.5)])
def test_frechet_interval_holds_the_mean_of_samples_of_its_size(
    n: int, columns: int, shift: float, scale: float
) -> None:
    pairs = [pair(r, n, columns, shift, scale) for r in range(RUNS)]
    mean = float(np.mean([frechet_distance(real=a, fake=b) for a, b in pairs]))
    assert share([bootstrap(frechet_influence(*p), seed=r) for r, p in enumerate(pairs)], mean) >= 0.85


def test_extrapolated_interval_holds_the_true_distance_where_the_plain_one_does_not() -> None:
    n, columns, shift, scale = 100, 30, 0.2, 1.3
    truth = columns * (shift**2 + (scale - 1) ** 2)
    pairs = [pair(r, n, columns, shift, scale) for r in range(RUNS)]
    found = [frechet_infinity(real=a, fake=b, seed=r) for r, (a, b) in enumerate(pairs)]
    assert share([bootstrap(f.influence, seed=r) for r, f in enumerate(found)], truth) >= 0.85
    assert share([bootstrap(frechet_influence(*p), seed=r) for r, p in enumerate(pairs)], truth) < 0.2


def test_frechet_interval_is_not_pushed_up_by_repeated_rows() -> None:
    """The plain bootstrap's own distances lie above the estimate almost without exception; the interval is about it."""
    real, fake = pair(0, 60, 100, 0.2, 1.2)
    value = frechet_distance(real=real, fake=fake)
    generator = numpy_generator(0, "copies")
    copied = [
        frechet_distance(real=real[generator.integers(0, 60, 60)], fake=fake[generator.integers(0, 60, 60)])
        for _ in range(40)
    ]
    assert np.mean(np.array(copied) > value) > 0.9
    interval = bootstrap(frechet_influence(real, fake))
    assert interval.low < value < interval.high


def test_manifold_intervals_hold_the_mean_of_samples_of_their_size() -> None:
    pairs = [pair(r, 80, 4, 0.3, 0.9) for r in range(RUNS)]
    found = [manifold_scores(real=a, fake=b) for a, b in pairs]
    values = np.array([[f.precision, f.recall, f.density, f.coverage] for f in found])
    intervals = [
        half_sampling(v, ManifoldHalves(*p, 5), 80, 80, resamples=60, seed=r)
        for r, (v, p) in enumerate(zip(values, pairs, strict=True))
    ]
    for place, name in enumerate(("precision", "recall", "density", "coverage")):
        held = [
            i[place] if name == "density" else or_wilson(i[place], v[place], 80)
            for v, i in zip(values, intervals, strict=True)
        ]
        assert share(held, float(values[:, place].mean())) >= 0.85, name


def test_inception_influence_is_the_derivative_by_a_rows_weight() -> None:
    logits = torch.from_numpy(numpy_generator(0, "logits").standard_normal((30, 6)) * 2)
    chances = logits.softmax(1)

    def score(weights: Tensor) -> float:
        weights = weights / weights.sum()
        mixed = weights @ chances
        return float((weights @ (chances * (chances.log() - mixed.log())).sum(1)).exp())

    influence = inception_influence(logits, score(torch.ones(30).double())).fake
    for row in (0, 17):
        ends = []
        for sign in (1, -1):
            weights = torch.ones(30).double()
            weights[row] += sign * 1e-4 * 30
            ends.append(score(weights))
        assert float(influence[row]) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-4)


def test_a_share_of_none_or_all_still_has_an_interval() -> None:
    assert or_wilson(Interval(0, 0), 0, 50).high == pytest.approx(0.0714, abs=1e-3)
    assert or_wilson(Interval(0.2, 0.9), 0.5, 50) == Interval(0.2, 0.9)


def test_kernel_interval_is_about_the_value_of_the_subsets() -> None:
    real, fake = pair(0, 50, 6, 0.4, 1.0)
    interval = bootstrap(kernel_influence(real, fake))
    assert interval.low < kernel_distance(real=real, fake=fake).mean < interval.high


def test_too_few_resamples_make_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 20 resamples"):
        bootstrap(Influence(0.0, torch.zeros(0), torch.zeros(5)), resamples=3)
