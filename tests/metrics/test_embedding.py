"""The map of images: seeded, in the order of its groups, and silent about too few."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.embedding import tsne

RNG = np.random.default_rng(0)
NEAR, FAR = RNG.normal(size=(20, 64)), RNG.normal(size=(15, 64)) + 12


def test_the_same_seed_gives_the_same_map_and_leaves_the_global_generator_alone() -> None:
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    first, second = tsne({"a": NEAR, "b": FAR}, seed=3), tsne({"a": NEAR, "b": FAR}, seed=3)
    for name in ("a", "b"):
        np.testing.assert_array_equal(first.points[name], second.points[name])
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002


def test_groups_apart_stay_apart_and_keep_their_order() -> None:
    points = tsne({"near": NEAR, "far": FAR}).points
    assert {name: found.shape for name, found in points.items()} == {"near": (20, 2), "far": (15, 2)}
    gap = np.linalg.norm(points["near"].mean(axis=0) - points["far"].mean(axis=0))
    assert gap > 2 * max(points["near"].std(), points["far"].std()) / 2
    both = np.concatenate([points["near"], points["far"]])
    distances = np.linalg.norm(both[:, None] - both[None], axis=2) + 1e9 * np.eye(35)
    assert ((distances.argmin(axis=1) < 20) == (np.arange(35) < 20)).all()


def test_perplexity_is_bounded_by_the_count() -> None:
    found = tsne({"a": NEAR[:7]})
    assert found.perplexity == pytest.approx(2)
    assert found.points["a"].shape == (7, 2)


def test_one_image_more_may_be_a_group() -> None:
    assert tsne({"a": NEAR, "b": FAR[:1], "c": FAR[:0]}).points["c"].shape == (0, 2)


@pytest.mark.parametrize(
    ("groups", "why"),
    [({}, "no images"), ({"a": NEAR[:5]}, "5 images"), ({"a": np.ones((9, 4))}, "the same features")],
)
def test_what_cannot_be_mapped_says_why(
    groups: dict[str, np.ndarray[tuple[int, int], np.dtype[np.float64]]], why: str
) -> None:
    found = tsne(groups)
    assert not found.points
    assert why in found.why


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="of one D"):
        tsne({"a": NEAR, "b": NEAR[:, :5]})
    with pytest.raises(ValueError, match="expected finite features"):
        tsne({"a": np.full((9, 4), np.nan)})
