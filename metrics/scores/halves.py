"""Manifold scores of many half-samples from one set of distances."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.scores.neighbours import squared_distances

__all__ = ["ManifoldHalves"]


class ManifoldHalves:
    """Distances of two sets, from which the scores of any rows of them follow without another product.

    A row's k-th neighbour among the picked rows is found by walking its nearest rows, sorted once: among the
    `8 k + 32` nearest, a half-sample has k but for a negligible chance, and then the last of them stands in.

    Args:
        real: Features (N, D), float64.
        fake: Features (M, D), float64.
        k: Which neighbour sets the radius.
    """

    def __init__(self, real: Tensor, fake: Tensor, k: int) -> None:
        centre = real.mean(0)
        real, fake = real - centre, fake - centre
        self.k = k
        self.between = squared_distances(real, fake).numpy()
        self.near_real, self.near_fake = (self._nearest(rows) for rows in (real, fake))

    def _nearest(self, rows: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        squared = squared_distances(rows, rows).fill_diagonal_(torch.inf)
        found = squared.topk(min(8 * self.k + 32, len(rows) - 1), largest=False, sorted=True)
        return found.values.numpy(), found.indices.numpy()

    def __call__(self, real_rows: Tensor, fake_rows: Tensor) -> NDArray[np.float64]:
        """Precision, recall, density and coverage (4,) of the picked rows."""
        first, second = np.sort(real_rows.numpy()), np.sort(fake_rows.numpy())
        reach, reach_fake = self._reach(self.near_real, first), self._reach(self.near_fake, second)
        squared = self.between.take(first, 0).take(second, 1)
        balls = squared <= reach[:, None]
        held = balls.sum(0)
        precision, recall, coverage = (held > 0).mean(), (squared <= reach_fake).any(1).mean(), balls.any(1).mean()
        return np.array([precision, recall, held.sum() / (self.k * len(second)), coverage])

    def _reach(
        self, near: tuple[NDArray[np.float64], NDArray[np.int64]], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Squared distance of each picked row to its k-th nearest other picked row."""
        distances, indices = near
        picked = np.zeros(len(distances), dtype=bool)
        picked[rows] = True
        enough = np.cumsum(picked[indices[rows]], axis=1) >= self.k
        place = np.where(enough.any(1), enough.argmax(1), distances.shape[1] - 1)
        return np.asarray(distances[rows, place])
