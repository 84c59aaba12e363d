"""How much the noise changes: distances between images of the same mask and guide, next to those of real images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defects.sample import Sample

_IGNORED = 0.02


@dataclass(frozen=True)
class Diversity:
    """Mean pairwise feature distance at fixed mask and guide.

    Attributes:
        within: Mean over the conditions with two images or more; None without such a condition.
        real: Mean over all pairs of real images.
        share: `within / real`. Near 0 the noise changes nothing; it stays below 1, for real images differ in their
            defects as well.
        conditions: Number of conditions (mask and guide) with two images or more.
        images: Of those conditions.
        verdict: What that means, in words.
        why: Why there is no value; empty when there is one.
    """

    within: float | None
    real: float | None
    share: float | None
    conditions: int
    images: int
    verdict: str = ""
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"cells" if key == "conditions" else key: value for key, value in asdict(self).items()}


def condition_keys(samples: Sequence[Sample]) -> list[str]:
    """What fixes all of a synthetic image but its noise: its mask and its requested guide."""
    return [
        json.dumps(
            [
                sample.metadata.get("checkpoint", ""),
                sample.metadata.get("mask_source", sample.part),
                sample.metadata.get("guide_scaled") or sample.metadata.get("guide", {}),
            ],
            sort_keys=True,
            default=str,
        )
        for sample in samples
    ]


def diversity(*, real: NDArray[Any], fake: NDArray[Any], conditions: Sequence[str]) -> Diversity:
    """Mean pairwise distance of the fake features within each condition, against that of the real ones.

    Args:
        real: (R, D) features of real images.
        fake: (M, D) features of synthetic images by the same extractor.
        conditions: (M,) see `condition_keys`.

    Raises:
        ValueError: The shapes do not fit, or a feature is not finite.
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or len(conditions) != len(fake):
        raise ValueError(
            f"expected features (R, D) and (M, D) and M conditions, got {real.shape}, {fake.shape}, {len(conditions)}"
        )
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        raise ValueError("expected finite features, got NaN or infinity; look at the extractor's images")
    names = np.asarray(conditions)
    unique, counts = np.unique(names, return_counts=True)
    repeated = unique[counts > 1]
    images = int(counts[counts > 1].sum())
    base = mean_distance(real) if len(real) > 1 else None
    if not repeated.size:
        why = "no mask and guide were generated twice; generate several images of each, with --num"
        return Diversity(None, base, None, 0, 0, why=why)
    within = float(np.mean([mean_distance(fake[names == condition]) for condition in repeated]))
    if not base:
        why = "the real images do not differ, or there are fewer than two; give more real images"
        return Diversity(within, base, None, int(repeated.size), images, why=why)
    share = within / base
    verdict = "the noise is ignored" if share < _IGNORED else "the noise changes the image"
    return Diversity(within, base, share, int(repeated.size), images, verdict=verdict)


def mean_distance(features: NDArray[Any], *, rows: int = 512) -> float:
    """Mean Euclidean distance of all pairs of rows of (N, D), N of 2 or more."""
    points = features.astype(np.float64)
    points -= points.mean(axis=0)
    norms = np.square(points).sum(axis=1)
    total = 0.0
    for start in range(0, len(points), rows):
        part = points[start : start + rows]
        distances = np.sqrt(np.maximum(norms[start : start + rows, None] + norms - 2 * part @ points.T, 0))
        distances[np.arange(len(part)), np.arange(start, start + len(part))] = 0
        total += float(distances.sum())
    return total / (len(points) * (len(points) - 1))
