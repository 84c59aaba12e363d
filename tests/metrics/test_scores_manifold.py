"""Precision, recall, density, coverage and realism against a plain loop, and which argument is which."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.seeding import numpy_generator
from metrics.scores import manifold as neighbors
from metrics.scores.manifold import Manifold, ManifoldHalves, manifold_scores, realism


def rows(count: int, columns: int, seed: int = 0, scale: float = 1.0) -> NDArray[np.float64]:
    return scale * numpy_generator(seed, "rows").standard_normal((count, columns))


def distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(x - y).sum()))


def radius(points: NDArray[np.float64], row: int, k: int) -> float:
    return sorted(distance(points[row], other) for i, other in enumerate(points) if i != row)[k - 1]


def naive(real: NDArray[np.float64], fake: NDArray[np.float64], k: int) -> Manifold:
    """The definitions, one loop each."""
    radii = [radius(real, i, k) for i in range(len(real))]
    radii_fake = [radius(fake, j, k) for j in range(len(fake))]
    held = [sum(distance(f, r) <= radii[i] for i, r in enumerate(real)) for f in fake]
    return Manifold(
        precision=float(np.mean([h > 0 for h in held])),
        recall=float(np.mean([any(distance(r, f) <= radii_fake[j] for j, f in enumerate(fake)) for r in real])),
        density=sum(held) / (k * len(fake)),
        coverage=float(np.mean([any(distance(r, f) <= radii[i] for f in fake) for i, r in enumerate(real)])),
    )


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(6, 20), m=st.integers(6, 20), columns=st.integers(1, 6), k=st.integers(1, 5), seed=st.integers(0, 999)
)
def test_scores_are_those_of_the_definitions(n: int, m: int, columns: int, k: int, seed: int) -> None:
    real, fake = rows(n, columns, seed), rows(m, columns, seed + 1, 0.8)
    found, expected = manifold_scores(real=real, fake=fake, k=k), naive(real, fake, k)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name)), name


def test_blocks_do_not_change_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = rows(50, 8, 1), rows(43, 8, 2, 0.9)
    whole, real_like = manifold_scores(real=real, fake=fake), realism(real=real, fake=fake)
    monkeypatch.setattr(neighbors, "_BLOCK", 7)
    assert manifold_scores(real=real, fake=fake) == whole
    np.testing.assert_allclose(realism(real=real, fake=fake), real_like)


def test_precision_and_recall_are_those_of_torch_fidelity() -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = rows(150, 12, 1), rows(130, 12, 2, 0.8)
    theirs = prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), prc_neighborhood=3, verbose=False)
    ours = manifold_scores(real=real, fake=fake, k=3)
    assert (ours.precision, ours.recall) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-7)


def test_mode_collapse_distinguishes_real_from_synthetic() -> None:
    """Ten modes, of which the generator has one: all it samples is right, and most is never sampled."""
    centers = 10 * np.eye(10)
    real = np.concatenate([center + rows(30, 10, i, 0.5) for i, center in enumerate(centers)])
    fake = centers[0] + rows(300, 10, 99, 0.4)
    collapsed = manifold_scores(real=real, fake=fake)
    assert collapsed.precision > 0.9
    assert collapsed.recall < 0.15
    assert collapsed.coverage < 0.15
    assert collapsed.density > 0.9
    turned = manifold_scores(real=fake, fake=real)
    assert (turned.precision, turned.recall) == (collapsed.recall, collapsed.precision)
    assert turned.precision < 0.15


def test_a_set_covers_itself_and_repeated_rows_count_as_inside() -> None:
    real = rows(40, 6)
    found = manifold_scores(real=real, fake=real)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    # Every row six times: all radii are zero, and only rows at distance zero are inside.
    repeated = np.repeat(rows(5, 6), 6, axis=0) * 1e3 + 1e4
    assert manifold_scores(real=repeated, fake=repeated[::-1].copy()).precision == 1


def test_scores_fall_with_noise_and_with_distance() -> None:
    real = rows(100, 8, 1)
    found = [manifold_scores(real=real, fake=rows(100, 8, 2) + shift) for shift in (0, 1, 2, 5)]
    for name in ("precision", "density", "coverage"):
        values = [getattr(f, name) for f in found]
        assert values == sorted(values, reverse=True), name
    assert found[-1] == Manifold(0, 0, 0, 0)


def test_halves_are_the_scores_of_the_rows_they_pick() -> None:
    real, fake = (torch.from_numpy(rows(c, 8, s)) for c, s in ((60, 1), (50, 2)))
    halves = ManifoldHalves(real, fake, 5)
    generator = numpy_generator(0, "halves")
    for _ in range(4):
        picks = [torch.from_numpy(generator.permutation(c)[: c // 2]) for c in (60, 50)]
        direct = manifold_scores(real=real[picks[0]], fake=fake[picks[1]])
        expected = [direct.precision, direct.recall, direct.density, direct.coverage]
        np.testing.assert_allclose(halves(*picks), expected)


def test_realism_is_that_of_the_definition() -> None:
    real, fake = rows(15, 5, 1), rows(6, 5, 2)
    radii = np.array([radius(real, i, 3) for i in range(15)])
    retained = np.flatnonzero(radii <= np.median(radii))
    expected = [max(radii[i] / distance(real[i], f) for i in retained) for f in fake]
    np.testing.assert_allclose(realism(real=real, fake=fake), expected)


def test_realism_falls_with_distance_and_a_copy_is_finite() -> None:
    real = rows(50, 6, 1)
    found = realism(real=real, fake=np.stack([real[0], real[0] + 20, real[0] + 200]))
    assert found[1] > found[2]
    assert np.isfinite(realism(real=real, fake=real)).all()
    assert (realism(real=real, fake=real) > 1).mean() > 0.5
    assert realism(real=real, fake=real[:1]).shape == (1,)


def test_too_few_rows_for_the_neighbor_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 6 fake rows, got 5"):
        manifold_scores(real=rows(9, 2), fake=rows(5, 2))
    with pytest.raises(ValueError, match="k of at least 1"):
        manifold_scores(real=rows(9, 2), fake=rows(5, 2), k=0)


def test_realism_of_real_rows_is_measured_by_other_parts_only() -> None:
    rng = np.random.default_rng(5)
    real = np.repeat(rng.normal(size=(12, 3)), 2, axis=0) + rng.normal(scale=1e-3, size=(24, 3))
    parts = [str(number // 2) for number in range(24)]
    manifold = neighbors.RealManifold(real)
    assert np.array_equal(manifold.realism(real), realism(real=real, fake=real))
    found = manifold.realism_of_real(parts)
    small = (radius := neighbors.radii(torch.as_tensor(real), 3).numpy()) <= np.sort(radius)[11]
    for i in range(24):
        others = [j for j in range(24) if small[j] and parts[j] != parts[i]]
        target = max(np.sqrt(radius[j]) / np.linalg.norm(real[i] - real[j]) for j in others)
        assert found[i] == pytest.approx(target)
    assert not manifold.realism_of_real(["one"] * 24).any()
    with pytest.raises(ValueError, match="a part for each of 24 rows, got 1"):
        manifold.realism_of_real(["one"])
