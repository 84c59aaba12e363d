"""The kernel distance against published code and the sum over pairs written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.seeding import numpy_generator
from metrics.scores import kernel
from metrics.scores.intervals import kernel_influence
from metrics.scores.kernel import kernel_distance, subset_distances


def rows(count: int, columns: int, seed: int = 0, shift: float = 0.0) -> NDArray[np.float64]:
    return numpy_generator(seed, "rows").standard_normal((count, columns)) + shift


def written_out(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    def k(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    n, m = len(real), len(fake)
    within_real = sum(k(real[i], real[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_fake = sum(k(fake[i], fake[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_real + within_fake - 2 * sum(k(x, y) for x in real for y in fake) / (n * m)


@pytest.mark.parametrize(("n", "m", "size"), [(60, 50, 20), (700, 90, 40), (400, 600, 300)])
def test_same_subsets_same_numbers_as_torch_fidelity(
    n: int, m: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    monkeypatch.setattr(kernel, "_BLOCK", 128)
    monkeypatch.setattr(kernel, "_TILE", 50)
    real, fake = rows(n, 32, 1), rows(m, 32, 2, 0.2)
    theirs = kid_features_to_metric(
        torch.from_numpy(fake),
        torch.from_numpy(real),
        kid_subsets=12,
        kid_subset_size=size,
        rng_seed=2020,
        verbose=False,
    )
    generator = np.random.RandomState(2020)
    draws = [(generator.choice(m, size, replace=False), generator.choice(n, size, replace=False)) for _ in range(12)]
    ours = subset_distances(
        torch.from_numpy(real), torch.from_numpy(fake), [r for _, r in draws], [f for f, _ in draws]
    )
    assert float(ours.mean()) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert float(ours.std(correction=0)) == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-9)


def test_whole_sets_give_the_number_of_clean_fid_and_of_the_written_sum() -> None:
    from cleanfid.fid import kernel_distance as clean

    real, fake = rows(20, 8, 1), rows(20, 8, 2, 0.3)
    found = kernel_distance(real=real, fake=fake)
    assert found.mean == pytest.approx(written_out(real, fake), rel=1e-12)
    assert found.mean == pytest.approx(clean(real, fake, num_subsets=1), rel=1e-12)
    assert found.std == 0


def test_subsets_apart_and_against_one_matrix_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = (torch.from_numpy(rows(c, 16, s)) for c, s in ((300, 1), (260, 2)))
    generator = numpy_generator(0, "picks")
    picks = [[generator.choice(c, 10, replace=False) for _ in range(5)] for c in (300, 260)]
    apart = subset_distances(real, fake, *picks)
    masks = [torch.zeros(5, c, dtype=torch.float64) for c in (300, 260)]
    for mask, selected in zip(masks, picks, strict=True):
        for row, indices in zip(mask, selected, strict=True):
            row[torch.from_numpy(indices)] = 1
    monkeypatch.setattr(kernel, "_BLOCK", 64)
    monkeypatch.setattr(kernel, "_TILE", 40)
    torch.testing.assert_close(kernel.weighted_distances(real, fake, *masks), apart, rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(2, 12), m=st.integers(2, 12), columns=st.integers(1, 6), seed=st.integers(0, 10**6))
def test_influence_carries_the_written_sum_and_is_symmetric(n: int, m: int, columns: int, seed: int) -> None:
    real, fake = rows(n, columns, seed), rows(m, columns, seed + 1, 0.5)
    found = kernel_influence(torch.from_numpy(real), torch.from_numpy(fake))
    turned = kernel_influence(torch.from_numpy(fake), torch.from_numpy(real))
    assert found.value == pytest.approx(written_out(real, fake), rel=1e-9, abs=1e-9)
    assert turned.value == pytest.approx(found.value, rel=1e-9, abs=1e-9)
    torch.testing.assert_close(turned.fake, found.real)
    assert float(found.real.sum()) == pytest.approx(0, abs=1e-6 * (1 + float(found.real.abs().max())))


def test_unbiased_for_two_samples_of_one_distribution() -> None:
    values = [kernel_distance(real=rows(30, 16, s), fake=rows(30, 16, 100 + s)).mean for s in range(40)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)


def test_grows_with_the_shift_and_repeats_with_its_seed() -> None:
    real = rows(120, 16, 1)
    shifted = [kernel_distance(real=real, fake=rows(120, 16, 2, s), subset_size=50).mean for s in (0, 0.2, 0.5, 1)]
    assert shifted == sorted(shifted)
    one, same, other = (kernel_distance(real=real, fake=real + 1, subset_size=50, seed=s) for s in (1, 1, 2))
    assert one == same != other
    assert one.std > 0


def test_a_subset_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 subset of at least 2 rows, got 0 of 1000"):
        kernel_distance(real=rows(5, 2), fake=rows(5, 2), subsets=0)
