"""How much the noise changes: distances between images of the same mask and guide, beside those of real images."""

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
        within: Mean over the cells that hold two images or more; None without such a cell.
        real: Mean over all pairs of real images.
        share: `within / real`. Near 0 the noise changes nothing; it stays below 1, for real images differ in their
            defects as well.
        cells: Number of cells with two images or more.
        images: In those cells.
        verdict: What that means, in words.
        why: Why there is no value; empty when there is one.
    """

    within: float | None
    real: float | None
    share: float | None
    cells: int
    images: int
    verdict: str = ""
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def cells_of(samples: Sequence[Sample]) -> list[str]:
    """What fixes all of a synthetic image but its noise: the mask it was made from and the guide asked for."""
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


def diversity(*, real: NDArray[Any], fake: NDArray[Any], cells: Sequence[str]) -> Diversity:
    """Mean pairwise distance of the fake features within each cell, against that of the real ones.

    Args:
        real: (R, D) features of real images.
        fake: (M, D) features of synthetic images by the same extractor.
        cells: (M,) see `cells_of`.

    Raises:
        ValueError: The shapes do not fit, or a feature is not finite.
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or len(cells) != len(fake):
        raise ValueError(
            f"expected features (R, D) and (M, D) and M cells, got {real.shape}, {fake.shape}, {len(cells)}"
        )
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        raise ValueError("expected finite features, got NaN or infinity; look at the extractor's images")
    names = np.asarray(cells)
    unique, counts = np.unique(names, return_counts=True)
    repeated = unique[counts > 1]
    images = int(counts[counts > 1].sum())
    base = mean_distance(real) if len(real) > 1 else None
    if not repeated.size:
        why = "no mask and guide were painted twice; make several images of each, with --num"
        return Diversity(None, base, None, 0, 0, why=why)
    within = float(np.mean([mean_distance(fake[names == cell]) for cell in repeated]))
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
    squares = np.square(points).sum(axis=1)
    total = 0.0
    for start in range(0, len(points), rows):
        part = points[start : start + rows]
        distances = np.sqrt(np.maximum(squares[start : start + rows, None] + squares - 2 * part @ points.T, 0))
        distances[np.arange(len(part)), np.arange(start, start + len(part))] = 0
        total += float(distances.sum())
    return total / (len(points) * (len(points) - 1))
