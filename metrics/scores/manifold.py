"""Scores of the manifolds that nearest neighbors span: precision, recall, density, coverage; realism of one image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.scores.score import Array, checked, checked_pair

_BLOCK = 1024
_TIE = 1e-12
"""Relative to the rows' squared lengths: what rounding may add to a squared distance. Within it, a tie is inside."""


@dataclass(frozen=True)
class Manifold:
    """How far two sets of features cover each other.

    Attributes:
        precision: Share of synthetic rows inside the real manifold.
        recall: Share of real rows inside the synthetic manifold.
        density: Mean number of real balls that hold a synthetic row, divided by k; may exceed 1.
        coverage: Share of real balls that hold a synthetic row.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold_scores(*, real: Array, fake: Array, k: int = 5) -> Manifold:
    """Precision, recall, density and coverage.

    A ball around each row reaches to its k-th nearest neighbor in its own set (not counting itself); a row at exactly
    that distance is inside. Kynkaanniemi et al., Improved Precision and Recall Metric, 2019, eq. 1 and 2; Naeem et al.,
    Reliable Fidelity and Diversity Metrics, 2020, eq. 3 to 5. Not symmetric: swapping the sets swaps precision and
    recall.

    Args:
        real: Features (N, D) of real images.
        fake: Features (M, D) of synthetic images.
        k: Which neighbor sets the radius.

    Raises:
        ValueError: k rows or fewer in a set, different dimensions, numbers that are not finite, or real rows all equal.
    """
    if k < 1:
        raise ValueError(f"expected k of at least 1, got {k}")
    first, second = checked_pair(real, fake, least=k + 1)
    center = first.mean(0)
    first, second = first - center, second - center
    radius, radius_fake = radii(first, k), radii(second, k)
    held = torch.zeros(len(second), dtype=torch.int64)
    recalled = covered = 0
    for part, squared in _blocks(first, second):
        balls = squared <= radius[part, None]
        held += balls.sum(0)
        covered += int(balls.any(1).sum())
        recalled += int((squared <= radius_fake).any(1).sum())
    return Manifold(
        precision=float((held > 0).double().mean()),
        recall=recalled / len(first),
        density=float(held.sum()) / (k * len(second)),
        coverage=covered / len(first),
    )


class RealManifold:
    """The balls of the real rows that realism is measured by, computed once for any number of synthetic rows.

    Kynkaanniemi et al., 2019, eq. 3: the half of the balls with the smaller radii.

    Args:
        real: Features (N, D) of real images.
        k: Which neighbor sets the radius.

    Raises:
        ValueError: k real rows or fewer, numbers that are not finite, or real rows all equal.
    """

    def __init__(self, real: Array, *, k: int = 3) -> None:
        rows = checked(real, "real", least=k + 1)
        self._center = rows.mean(0)
        self._all = rows - self._center
        radius = radii(self._all, k)
        self._small = radius <= radius.median()
        self._rows, self._radius = self._all[self._small], radius[self._small].sqrt()

    def realism(self, fake: Array) -> NDArray[np.float64]:
        """See the function of that name.

        Raises:
            ValueError: No synthetic row, different dimensions, or numbers that are not finite.
        """
        rows = checked(fake, "fake", least=1, varied=False)
        if rows.shape[1] != self._rows.shape[1]:
            raise ValueError(
                f"expected features of one dimension, got {self._rows.shape[1]} real and {rows.shape[1]} fake"
            )
        return self._best(rows - self._center, None)

    def realism_of_real(self, parts: Sequence[str]) -> NDArray[np.float64]:
        """Realism (N,) of each real row by the balls of other parts only: what a real row of an unseen part reaches.

        A row that has no ball of another part gets 0.

        Raises:
            ValueError: There is not one part for each row.
        """
        if len(parts) != len(self._all):
            raise ValueError(f"expected a part for each of {len(self._all)} rows, got {len(parts)}")
        numbers = torch.from_numpy(np.unique(np.asarray(parts), return_inverse=True)[1].astype(np.int64))
        return self._best(self._all, numbers)

    def _best(self, rows: Tensor, parts: Tensor | None) -> NDArray[np.float64]:
        best = torch.zeros(len(rows), dtype=torch.float64)
        for block, squared in _blocks(self._rows, rows):
            radius = self._radius[block, None]
            near = torch.maximum(squared.sqrt(), 1e-6 * radius).clamp_min(torch.finfo(torch.float64).tiny)
            ratio = radius / near
            if parts is not None:
                ratio = ratio.masked_fill(parts[self._small][block, None] == parts, 0)
            best = torch.maximum(best, ratio.amax(0))
        return best.numpy()


def realism(*, real: Array, fake: Array, k: int = 3) -> NDArray[np.float64]:
    """Realism of each synthetic row: at least 1 inside the real manifold, the larger the nearer to a real row.

    Kynkaanniemi et al., 2019, eq. 3: the largest ratio of a real ball's radius to the distance from its center, over
    the half of the balls with the smaller radii. A distance below a millionth of the radius counts as a millionth, so
    that a copy gets a large finite number.

    Args:
        real: Features (N, D) of real images.
        fake: Features (M, D) of synthetic images; one row is enough.
        k: Which neighbor sets the radius.

    Returns:
        Realism (M,).

    Raises:
        ValueError: k real rows or fewer, no synthetic row, different dimensions, numbers that are not finite, or
            real rows all equal.
    """
    return RealManifold(real, k=k).realism(fake)


def radii(rows: Tensor, k: int) -> Tensor:
    """Squared distance (N,) of each row to its k-th nearest other row."""
    parts = []
    for part, squared in _blocks(rows, rows):
        squared.diagonal(part.start).fill_(torch.inf)
        parts.append(squared.kthvalue(k, dim=1).values)
    return torch.cat(parts)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances (N, M); what is within rounding of zero is zero."""
    lengths = x.square().sum(1)[:, None] + y.square().sum(1)
    squared = torch.addmm(lengths, x, y.T, alpha=-2)
    return squared.masked_fill_(squared <= _TIE * lengths, 0)


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of consecutive rows of x to all of y, and which rows they are."""
    for start in range(0, len(x), _BLOCK):
        part = slice(start, min(start + _BLOCK, len(x)))
        yield part, squared_distances(x[part], y)


class ManifoldHalves:
    """Distances of two sets, from which the scores of any rows of them follow without another product.

    A row's k-th neighbor among the picked rows is found by walking its nearest rows, sorted once: among the
    `8 k + 32` nearest, a half-sample has k but for a negligible chance, and then the last of them stands in.

    Args:
        real: Features (N, D), float64.
        fake: Features (M, D), float64.
        k: Which neighbor sets the radius.
    """

    def __init__(self, real: Tensor, fake: Tensor, k: int) -> None:
        center = real.mean(0)
        real, fake = real - center, fake - center
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
        radius, radius_fake = self._radius(self.near_real, first), self._radius(self.near_fake, second)
        squared = self.between.take(first, 0).take(second, 1)
        balls = squared <= radius[:, None]
        held = balls.sum(0)
        precision, recall, coverage = (held > 0).mean(), (squared <= radius_fake).any(1).mean(), balls.any(1).mean()
        return np.array([precision, recall, held.sum() / (self.k * len(second)), coverage])

    def _radius(
        self, near: tuple[NDArray[np.float64], NDArray[np.int64]], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Squared distance of each picked row to its k-th nearest other picked row."""
        distances, indices = near
        picked = np.zeros(len(distances), dtype=bool)
        picked[rows] = True
        enough = np.cumsum(picked[indices[rows]], axis=1) >= self.k
        place = np.where(enough.any(1), enough.argmax(1), distances.shape[1] - 1)
        return np.asarray(distances[rows, place])
