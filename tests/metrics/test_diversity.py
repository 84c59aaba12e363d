"""Diversity at fixed mask and guide: noise that is ignored shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from defects.sample import Sample
from metrics.conditioning.diversity import condition_keys, diversity, mean_distance

REAL = np.random.default_rng(0).normal(size=(60, 12))


def test_mean_distance_is_that_of_all_pairs() -> None:
    assert mean_distance(REAL) == pytest.approx(pdist(REAL).mean())
    assert mean_distance(REAL, rows=7) == pytest.approx(pdist(REAL).mean())


def test_a_generator_that_ignores_its_noise_has_none() -> None:
    fake = np.repeat(REAL[:10], 5, axis=0)
    result = diversity(real=REAL, fake=fake, conditions=[str(index // 5) for index in range(50)])
    assert result.share == pytest.approx(0, abs=1e-6)
    assert result.verdict == "the noise is ignored"
    assert (result.conditions, result.images) == (10, 50)


def test_noise_that_changes_as_much_as_real_images_differ_has_a_share_of_1() -> None:
    fake = np.random.default_rng(1).normal(size=(200, 12))
    result = diversity(real=REAL, fake=fake, conditions=[str(index // 10) for index in range(200)])
    assert result.share == pytest.approx(1, abs=0.05)
    assert result.verdict == "the noise changes the image"


def test_differences_between_masks_do_not_count() -> None:
    fake = np.repeat(100 * REAL[:10], 5, axis=0) + 0.5 * np.random.default_rng(1).normal(size=(50, 12))
    result = diversity(real=REAL, fake=fake, conditions=[str(index // 5) for index in range(50)])
    assert result.share == pytest.approx(0.5, abs=0.05)


def test_without_repeats_or_real_images_the_reason_is_given() -> None:
    once = diversity(real=REAL, fake=REAL[:4], conditions=list("abcd"))
    assert once.share is None
    assert "--num" in once.why
    alone = diversity(real=REAL[:1], fake=REAL[:4], conditions=list("aabb"))
    assert alone.share is None
    assert alone.within is not None
    assert "more real images" in alone.why


def test_a_cluster_is_of_one_mask_and_one_guide() -> None:
    def generated(mask: str, thickness: float) -> Sample:
        metadata = {"mask_source": mask, "guide_scaled": {"thickness": thickness}, "seed": 3}
        return Sample("x", Path("x.png"), label="crack", source="synthetic", metadata=metadata)

    conditions = condition_keys([generated("a", 0.5), generated("a", 0.5), generated("a", 0.6), generated("b", 0.5)])
    assert conditions[0] == conditions[1]
    assert len(set(conditions)) == 3


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected features"):
        diversity(real=REAL, fake=REAL[:, :3], conditions=["a"] * 60)
    with pytest.raises(ValueError, match="expected finite features"):
        diversity(real=REAL, fake=np.full((2, 12), np.inf), conditions=["a", "a"])
