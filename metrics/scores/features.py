"""Features as the scores take them: float64 matrices on the CPU, checked once at the boundary."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Array", "all_equal", "checked", "checked_pair"]

Array = NDArray[np.floating] | Tensor


def checked(values: Array, what: str, *, least: int = 2, varied: bool = True) -> Tensor:
    """A matrix of features (N, D) as a float64 tensor on the CPU.

    Args:
        values: Features (N, D), NumPy or torch, any floating type.
        what: What an error calls them.
        least: Smallest number of rows.
        varied: Whether rows that are all equal are refused.

    Raises:
        ValueError: Not a matrix, too few rows, no columns, numbers that are not finite, or all rows equal.
    """
    matrix = torch.as_tensor(values).detach().to("cpu", torch.float64)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(f"expected {what} features of shape (N, D), got {tuple(matrix.shape)}; give one row an image")
    if len(matrix) < least:
        raise ValueError(f"expected at least {least} {what} rows, got {len(matrix)}; add images")
    # A sum is finite only if all its terms are; only where it is not are the terms looked at one by one.
    broken = 0 if bool(matrix.sum().isfinite()) else int((~torch.isfinite(matrix)).any(dim=1).sum())
    if broken:
        raise ValueError(
            f"expected finite {what} features, got NaN or infinity in {broken} of {len(matrix)} rows; "
            "look at the extractor and its images"
        )
    if varied and all_equal(matrix):
        raise ValueError(
            f"expected {what} features that vary, got {len(matrix)} equal rows; the images are constant or all the same"
        )
    return matrix


def all_equal(matrix: Tensor) -> bool:
    """Whether all rows of features (N, D) are the same.

    >>> all_equal(torch.ones(3, 2))
    True
    """
    return torch.equal(matrix[0], matrix[-1]) and bool((matrix == matrix[0]).all())


def checked_pair(real: Array, fake: Array, *, least: int = 2) -> tuple[Tensor, Tensor]:
    """Real (N, D) and synthetic (M, D) features as float64 tensors on the CPU.

    Synthetic rows may all be equal, since a collapsed generator deserves its score; real ones may not.

    Raises:
        ValueError: One of them is refused by `checked`, or they have different dimensions.
    """
    first, second = checked(real, "real", least=least), checked(fake, "fake", least=least, varied=False)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"expected features of one dimension, got {first.shape[1]} real and {second.shape[1]} fake; "
            "extract both with the same network"
        )
    return first, second
