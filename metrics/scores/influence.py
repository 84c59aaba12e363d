"""How much each image moves a smooth score: the first-order influence of a row's weight.

An influence is the derivative of the score by a row's share of its set, centred: to first order, the score of
reweighted sets is the score plus the weighted mean of the influences. One decomposition thus serves all resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metrics.scores.frechet import centered
from metrics.scores.kernel import kernel_means


@dataclass(frozen=True)
class Influence:
    """A score and what moves it.

    Attributes:
        value: The score of the sets as they are.
        real: Influence (N,) of each real row, mean zero; empty where only synthetic rows count.
        fake: Influence (M,) of each synthetic row, mean zero.
    """

    value: float
    real: Tensor
    fake: Tensor


def frechet_influence(real: Tensor, fake: Tensor, products: Tensor | None = None) -> Influence:
    """Frechet distance and the influence of every row on it.

    The derivative of the distance by the first covariance is I - T, T being the linear map that carries the first
    Gaussian onto the second; Rippl, Munk and Sturm, Limit laws of the empirical Wasserstein distance: Gaussian
    distributions, 2016, theorem 2.2. With A^T A and B^T B the covariances and A B^T = U S V^T, the
    quadratic form of T at a row with coordinates c in A is |S^(1/2) U^T c|^2, also where rows are fewer than columns.

    Args:
        real: Features (N, D), float64.
        fake: Features (M, D), float64.
        products: Inner products (N, M) of the rows, where they are at hand and no set has more rows than columns.
    """
    a, b = centered(real), centered(fake)
    shift = real.mean(0) - fake.mean(0)
    (root_a, coordinates_a), (root_b, coordinates_b) = _factor(a), _factor(b)
    if products is None:
        between = root_a @ root_b.T
    else:
        between = (products - products.mean(0) - products.mean(1, keepdim=True) + products.mean()).div_(
            ((len(a) - 1) * (len(b) - 1)) ** 0.5
        )
    left, right, trace = _rooted_vectors(between)
    value = shift.square().sum() + a.square().sum() + b.square().sum() - 2 * trace
    return Influence(
        max(float(value), 0.0),
        _row_influence(a, left if coordinates_a is None else coordinates_a @ left, shift),
        _row_influence(b, right if coordinates_b is None else coordinates_b @ right, -shift),
    )


def _rooted_vectors(matrix: Tensor) -> tuple[Tensor, Tensor, float]:
    """U S^(1/2) (N, R) and V S^(1/2) (M, R) of a matrix U S V^T (N, M), and the sum of S.

    From the eigenvectors of the smaller product of the matrix with its transpose, several times quicker than a
    decomposition into singular values; directions below rounding are left out.
    """
    if len(matrix) > matrix.shape[1]:
        right, left, trace = _rooted_vectors(matrix.T)
        return left, right, trace
    squares, vectors = torch.linalg.eigh(matrix @ matrix.T)
    kept = squares > _rounding(squares)
    values, vectors = squares[kept].sqrt(), vectors[:, kept]
    return vectors * values.sqrt(), (matrix.T @ vectors) / values.sqrt(), float(values.sum())


def _rounding(ascending: Tensor) -> float:
    """What eigenvalues (K,) in ascending order are below when they are 0 but for rounding; K may be 0."""
    return float(ascending[-1:].sum()) * len(ascending) * torch.finfo(ascending.dtype).eps


def _row_influence(rows: Tensor, carried: Tensor, shift: Tensor) -> Tensor:
    """Influence (N,) of centred, scaled rows (N, D), whose `carried` (N, R) have the map's quadratic form as length."""
    spread = len(rows) * (rows.square().sum(1) - carried.square().sum(1))
    influence: Tensor = spread + 2 * (len(rows) - 1) ** 0.5 * (rows @ shift)
    return influence - influence.mean()


def _factor(rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """A root R (K, D) of the rows' covariance R^T R, and the rows' coordinates (N, K) in it.

    Fewer rows than columns are their own root, with no coordinates needed. Otherwise the root comes from the
    eigenvectors, without the directions in which the rows do not vary.
    """
    if len(rows) <= rows.shape[1]:
        return rows, None
    values, vectors = torch.linalg.eigh(rows.T @ rows)
    kept = values > _rounding(values)
    deviations, vectors = values[kept].sqrt(), vectors[:, kept]
    return deviations[:, None] * vectors.T, rows @ vectors / deviations


def kernel_influence(real: Tensor, fake: Tensor) -> Influence:
    """Unbiased squared discrepancy of all rows and the influence of every row on it (its Hajek projection).

    Args:
        real: Features (N, D), float64.
        fake: Features (M, D), float64.
    """
    value, towards_real, towards_fake = kernel_means(real, fake)
    return Influence(value, 2 * (towards_real - towards_real.mean()), 2 * (towards_fake - towards_fake.mean()))


def inception_influence(logits: Tensor, value: float) -> Influence:
    """Inception score of `value` and the influence of each row of class logits (N, K) on it."""
    chances, logs = logits.softmax(1), logits.log_softmax(1)
    mixed = chances.mean(0).clamp_min(torch.finfo(torch.float64).tiny).log()
    divergence = (chances * (logs - mixed)).sum(1)
    return Influence(value, divergence[:0], value * (divergence - divergence.mean()))
