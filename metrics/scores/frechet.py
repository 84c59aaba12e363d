"""Frechet distance of two Gaussians fitted to features, by the cheapest exact way for the number of rows.

With rows centered and divided by sqrt(N - 1), the covariances are A^T A and B^T B, and the trace of
(A^T A B^T B)^(1/2) is the sum of the singular values of the small matrix A B^T. No matrix root is ever taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metrics.scores.score import Array, checked_pair

_SINGULAR_VALUES_UP_TO = 600
"""Rows up to which singular values are taken directly; beyond, eigenvalues of the product with its transpose are
several times quicker and still exact to about 1e-8 of the largest singular value."""
_BLOCK = 512


def frechet_distance(*, real: Array, fake: Array) -> float:
    """Squared Frechet distance (2-Wasserstein) of Gaussians fitted to two sets of features.

    FID when the features are Inception's: Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017, eq. 6;
    Dowson and Landau, The Frechet distance between multivariate normal distributions, 1982, for the formula. The
    covariances are divided by N - 1. Symmetric in its arguments.

    Args:
        real: Features (N, D) of real images.
        fake: Features (M, D) of synthetic images.

    Returns:
        The distance, never below zero.

    Raises:
        ValueError: Fewer than two rows, different dimensions, numbers that are not finite, or real rows all equal.

    >>> import numpy as np
    >>> rows = np.array([[0.0, 1.0], [1.0, 0.0], [3.0, 2.0]])
    >>> round(frechet_distance(real=rows, fake=rows + 2.0), 6)
    8.0
    """
    first, second = checked_pair(real, fake)
    shift = first.mean(0) - second.mean(0)
    a, b = centered(first), centered(second)
    traces = sum(float(torch.linalg.vector_norm(side)) ** 2 for side in (a, b))
    distance = float(shift.square().sum()) + traces - 2 * trace_root(a, b)
    return max(distance, 0.0)


def centered(rows: Tensor) -> Tensor:
    """Rows (N, D) without their mean and divided by sqrt(N - 1): their covariance is the product A^T A."""
    return (rows - rows.mean(0)).div_((len(rows) - 1) ** 0.5)


def trace_root(a: Tensor, b: Tensor) -> float:
    """Trace of (A^T A B^T B)^(1/2) for A (N, D) and B (M, D).

    Fewer rows than columns on one side: singular values of B A^T. More on both: with the Cholesky factor A^T A = L L^T,
    the square roots of the eigenvalues of L^T B^T B L.
    """
    if len(a) < len(b):
        a, b = b, a
    columns = a.shape[1]
    if len(b) > columns:
        half = _lower(b.T)
        return _sum_of_roots(_lower_between(_root(_lower(a.T)), half.tril() + half.tril(-1).T))
    if len(a) <= 2 * columns:
        return nuclear_norm(b @ a.T)
    return _sum_of_roots(b @ (a.T @ a) @ b.T)


def nuclear_norm(matrix: Tensor) -> float:
    """Sum of the singular values of a matrix."""
    if len(matrix) > matrix.shape[1]:
        matrix = matrix.T
    if max(matrix.shape) <= _SINGULAR_VALUES_UP_TO:
        return float(torch.linalg.svdvals(matrix).sum())
    return _sum_of_roots(_lower(matrix))


def _lower(matrix: Tensor) -> Tensor:
    """Lower triangle of a matrix times its transpose; what is above it is not to be read."""
    product = torch.zeros(len(matrix), len(matrix), dtype=matrix.dtype)
    for start in range(0, len(matrix), _BLOCK):
        stop = start + _BLOCK
        product[start:stop, :stop] = matrix[start:stop] @ matrix[:stop].T
    return product


def _lower_between(root: Tensor, covariance: Tensor) -> Tensor:
    """Lower triangle of L^T C L for a lower triangular L; what is above it is not to be read."""
    product = torch.zeros_like(covariance)
    for start in range(0, len(root), _BLOCK):
        stop = start + _BLOCK
        product[start:stop, :stop] = (root[start:, start:stop].T @ covariance[start:]) @ root[:, :stop]
    return product


def _sum_of_roots(symmetric: Tensor) -> float:
    """Sum of the square roots of the eigenvalues of a positive semidefinite matrix; those below zero are rounding.

    Only the lower triangle is read.
    """
    return float(torch.linalg.eigvalsh(symmetric).clamp_min_(0).sqrt_().sum())


def _root(covariance: Tensor) -> Tensor:
    """Lower triangular L with L L^T = covariance: the Cholesky factor, or, for a singular one, from its eigenvectors.

    Only the lower triangle is read.
    """
    factor: Tensor
    factor, issue = torch.linalg.cholesky_ex(covariance)
    if int(issue):
        values, vectors = torch.linalg.eigh(covariance)
        factor = torch.linalg.qr((vectors * values.clamp_min(0).sqrt()).T).R.T
    return factor
