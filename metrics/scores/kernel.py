"""Kernel distance (KID): the unbiased squared maximum mean discrepancy under the cubic kernel.

The kernel of all pairs is evaluated once, block by block, and every subset is a row of zeros and ones against it; where
the subsets together have fewer pairs than the whole, each is evaluated by itself. Both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.seeding import numpy_generator
from metrics.scores.score import Array, Spread, checked_pair

_BLOCK = 1024
_TILE = 256


def kernel_distance(*, real: Array, fake: Array, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> Spread:
    """Kernel distance of two sets of features, mean and deviation over random subsets.

    KID when the features are Inception's: Binkowski et al., Demystifying MMD GANs, 2018, section 4, with the kernel
    (x.y / D + 1)^3 and the unbiased estimator. The mean is unbiased for any number of images, so that it may be
    below zero, and it is the estimator of torch-fidelity and clean-fid. Symmetric but for the draws.

    Args:
        real: Features (N, D) of real images.
        fake: Features (M, D) of synthetic images.
        subsets: Number of random subsets.
        subset_size: Rows of each set in a subset, sampled without replacement; at most those of the smaller set. Where
            it takes all of both sets, all subsets are the same and the deviation is zero.
        seed: Seed of the draws.

    Raises:
        ValueError: Fewer than two rows, different dimensions, numbers that are not finite, real rows all equal, no
            subset, or a subset of fewer than two rows.
    """
    first, second = checked_pair(real, fake)
    if subsets < 1 or subset_size < 2:
        raise ValueError(f"expected at least 1 subset of at least 2 rows, got {subsets} of {subset_size}")
    size = min(subset_size, len(first), len(second))
    if size == len(first) == len(second):
        rows = [np.arange(size)]
        return Spread(float(subset_distances(first, second, rows, rows)[0]), 0.0)
    generator = numpy_generator(seed, "kernel distance")
    draws = [
        (generator.choice(len(first), size, replace=False), generator.choice(len(second), size, replace=False))
        for _ in range(subsets)
    ]
    values = subset_distances(first, second, [r for r, _ in draws], [f for _, f in draws])
    return Spread(float(values.mean()), float(values.std(correction=0)))


def subset_distances(
    real: Tensor, fake: Tensor, real_rows: Sequence[NDArray[np.intp]], fake_rows: Sequence[NDArray[np.intp]]
) -> Tensor:
    """Unbiased squared discrepancies (S,) of S given pairs of subsets.

    Args:
        real: Features (N, D), float64.
        fake: Features (M, D), float64.
        real_rows: Distinct rows of `real` in each subset.
        fake_rows: Distinct rows of `fake` in each subset.
    """
    whole = len(real) ** 2 / 2 + len(fake) ** 2 / 2 + len(real) * len(fake)
    apart = sum(len(r) ** 2 / 2 + len(f) ** 2 / 2 + len(r) * len(f) for r, f in zip(real_rows, fake_rows, strict=True))
    if apart < whole:
        pairs = (
            (real[torch.from_numpy(r)], fake[torch.from_numpy(f)]) for r, f in zip(real_rows, fake_rows, strict=True)
        )
        return torch.cat([weighted_distances(x, y, *(_ones(x), _ones(y))) for x, y in pairs])
    return weighted_distances(real, fake, _masks(real_rows, len(real)), _masks(fake_rows, len(fake)))


def weighted_distances(real: Tensor, fake: Tensor, real_masks: Tensor, fake_masks: Tensor) -> Tensor:
    """Unbiased squared discrepancies (S,) of the subsets that masks (S, N) and (S, M) of zeros and ones pick."""
    n, m = real_masks.sum(1), fake_masks.sum(1)
    within = _pairs(real, real_masks) / (n * (n - 1)) + _pairs(fake, fake_masks) / (m * (m - 1))
    across = torch.zeros_like(n)
    for start in range(0, len(real), _BLOCK):
        part = slice(start, start + _BLOCK)
        across += ((real_masks[:, part] @ _cubic(real[part], fake)) * fake_masks).sum(1)
    return within - 2 * across / (n * m)


def kernel_means(real: Tensor, fake: Tensor) -> tuple[float, Tensor, Tensor]:
    """Unbiased squared discrepancy of all rows, and its witness at every row.

    Returns:
        The discrepancy; for each real row (N,), its mean kernel with the other real rows less that with the synthetic
        ones; for each synthetic row (M,), the same the other way round.
    """
    n, m = len(real), len(fake)
    own_real, own_fake = _row_sums(real) / (n - 1), _row_sums(fake) / (m - 1)
    to_fake, to_real = [], torch.zeros(m, dtype=torch.float64)
    for start in range(0, n, _BLOCK):
        kernel = _cubic(real[start : start + _BLOCK], fake)
        to_fake.append(kernel.sum(1) / m)
        to_real += kernel.sum(0) / n
    across = torch.cat(to_fake)
    value = own_real.mean() + own_fake.mean() - 2 * across.mean()
    return float(value), own_real - across, own_fake - to_real


def _row_sums(rows: Tensor) -> Tensor:
    """Sum (N,) of the kernel of each row with all others."""
    total = torch.zeros(len(rows), dtype=rows.dtype)
    for part, other in _triangle(0, len(rows)):
        kernel = _cubic(rows[part], rows[other])
        if part == other:
            total[part] += kernel.fill_diagonal_(0).sum(1)
        else:
            total[part] += kernel.sum(1)
            total[other] += kernel.sum(0)
    return total


def _pairs(rows: Tensor, masks: Tensor) -> Tensor:
    """Sum (S,) of the kernel over the ordered pairs of different rows in each mask."""
    total = torch.zeros(len(masks), dtype=rows.dtype)
    for part, other in _triangle(0, len(rows)):
        kernel = _cubic(rows[part], rows[other])
        times = 1 if part == other else 2
        if part == other:
            kernel.fill_diagonal_(0)
        total += times * ((masks[:, part] @ kernel) * masks[:, other]).sum(1)
    return total


def _triangle(start: int, stop: int) -> Iterator[tuple[slice, slice]]:
    """Pairs of ranges that hold every unordered pair of rows once: small blocks on the diagonal, large ones off."""
    if stop - start <= _TILE:
        yield slice(start, stop), slice(start, stop)
        return
    middle = (start + stop) // 2
    for first in range(start, middle, _BLOCK):
        yield slice(first, min(first + _BLOCK, middle)), slice(middle, stop)
    yield from _triangle(start, middle)
    yield from _triangle(middle, stop)


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    """Kernel (x.y / D + 1)^3 of every pair of rows."""
    inner = torch.mm(x, y.T).div_(x.shape[1]).add_(1)
    return inner.mul_(inner.square())


def _ones(rows: Tensor) -> Tensor:
    return torch.ones(1, len(rows), dtype=rows.dtype)


def _masks(rows: Sequence[NDArray[np.intp]], count: int) -> Tensor:
    masks = torch.zeros(len(rows), count, dtype=torch.float64)
    for mask, selected in zip(masks, rows, strict=True):
        mask[torch.from_numpy(selected)] = 1
    return masks
