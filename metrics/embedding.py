"""A map of real and synthetic images in two dimensions, by t-SNE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from engine.seeding import seed_for

_LEAST = 6
_COMPONENTS = 50
_PERPLEXITY = 30.0


@dataclass(frozen=True)
class Embedding:
    """Positions of every group's images on one map.

    Attributes:
        points: (N, 2) for each group, in its order; empty when there is no map.
        perplexity: That was used.
        why: Why there is no map; empty when there is one.
    """

    points: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    perplexity: float | None = None
    why: str = ""


def tsne(groups: Mapping[str, NDArray[Any]], *, seed: int = 0, perplexity: float = _PERPLEXITY) -> Embedding:
    """t-SNE (van der Maaten and Hinton 2008) of all groups together, after PCA to 50 dimensions.

    One thread and an explicit seed: the same features give the same map.

    Args:
        groups: (N, D) features by name, all of one extractor.
        seed: Of the search.
        perplexity: Bounded by a third of the images, as the method needs.

    Raises:
        ValueError: The dimensions differ, or a feature is not finite.
    """
    if not groups:
        return Embedding(why="no images")
    widths = {features.shape[1:] for features in groups.values()}
    if len(widths) != 1 or len(next(iter(widths))) != 1:
        raise ValueError(f"expected groups of features (N, D) of one D, got {sorted(map(str, widths))}")
    every = np.concatenate([np.asarray(features, np.float64) for features in groups.values()])
    if not np.isfinite(every).all():
        raise ValueError("expected finite features, got NaN or infinity; look at those images")
    if len(every) < _LEAST:
        return Embedding(why=f"{len(every)} images; a map needs at least {_LEAST}")
    bounded = float(min(perplexity, (len(every) - 1) / 3))
    with threadpool_limits(1):
        reduced = _principal(every)
        if not reduced.any():
            return Embedding(why="all images have the same features")
        # Begun from the first two components, so that the places of the groups mean something.
        start = 1e-4 * reduced[:, :2] / max(float(reduced[:, 0].std()), 1e-12)
        if start.shape[1] < 2:
            start = np.column_stack([start, np.zeros(len(start))])
        method = TSNE(perplexity=bounded, init=start, random_state=seed_for(seed, "tsne") % 2**32, learning_rate="auto")
        placed = method.fit_transform(reduced).astype(np.float64)
    ends = np.cumsum([len(features) for features in groups.values()])
    return Embedding(dict(zip(groups, np.split(placed, ends[:-1]), strict=True)), bounded)


def _principal(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, D) to the first principal components (N, up to 50), each with the sign of its largest loading."""
    centered = points - points.mean(axis=0)
    left, scale, right = np.linalg.svd(centered, full_matrices=False)
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    reduced: NDArray[np.float64] = (left * (scale * np.where(signs == 0, 1, signs)))[:, :_COMPONENTS]
    return reduced
