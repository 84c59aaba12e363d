from __future__ import annotations

import numpy as np
import pytest
import torch

from metrics.scores.families import real_baseline


def gap(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """Mean distance from each row of b to the nearest of a."""
    return np.array([float(torch.cdist(a, b).min(0).values.mean())])


@pytest.fixture
def photos() -> tuple[torch.Tensor, list[str]]:
    """Eight parts, far apart, of five nearly equal rows each."""
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(8, 4)) * 10, 5, axis=0) + rng.normal(size=(40, 4)) * 0.01
    return torch.from_numpy(rows), [f"part {index // 5}" for index in range(40)]


def test_images_of_one_part_stay_in_one_half(photos: tuple[torch.Tensor, list[str]]) -> None:
    rows, parts = photos
    names = np.asarray(parts)
    pairs: list[tuple[set[str], set[str]]] = []

    def score(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
        halves = [{names[int(torch.cdist(row[None], rows).argmin())] for row in half} for half in (a, b)]
        pairs.append((halves[0], halves[1]))
        assert len(a) == len(b) == 20
        return np.zeros(1)

    real_baseline(rows, score, halvings=6, seed=0, parts=parts)
    assert len(pairs) == 6
    assert all(first.isdisjoint(second) for first, second in pairs)
    assert len({frozenset(first) for first, _ in pairs}) > 1


def test_a_baseline_of_scattered_images_of_a_part_would_look_too_good(photos: tuple[torch.Tensor, list[str]]) -> None:
    rows, parts = photos
    whole = real_baseline(rows, gap, halvings=6, seed=0, parts=parts)
    scattered = real_baseline(rows, gap, halvings=6, seed=0)
    assert whole is not None
    assert scattered is not None
    assert whole[0] > 5 * scattered[0]


def test_rows_of_their_own_are_halved_as_without_parts(photos: tuple[torch.Tensor, list[str]]) -> None:
    rows, _ = photos
    own = [f"{index:02d}" for index in range(40)]
    np.testing.assert_array_equal(
        real_baseline(rows, gap, halvings=3, seed=1, parts=own), real_baseline(rows, gap, halvings=3, seed=1)
    )


def test_rows_of_one_part_have_no_baseline() -> None:
    def score(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
        if not len(a) or not len(b):
            raise ValueError("expected rows")
        return np.zeros(1)

    assert real_baseline(torch.zeros(6, 2), score, halvings=2, seed=0, parts=["a"] * 6) is None
