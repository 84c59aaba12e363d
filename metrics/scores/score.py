"""A score with all that is needed to read it: estimator, counts, interval, warning; and checked features."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Spread:
    """Mean and deviation (divided by the count, not by one less) of one estimate over subsets or splits."""

    mean: float
    std: float


@dataclass(frozen=True)
class Score:
    """One number with all that is needed to read it.

    Attributes:
        name: Its name with its extractor, such as `fid_efficientnet_lite0`; `fid` alone means Inception features.
        value: The number, or None where it cannot be computed.
        low: Lower end of the 95 % interval, or None.
        high: Upper end of the 95 % interval, or None.
        baseline: The same score of one half of the real images against the other, mean over several random halvings:
            what a perfect generator would get at half the count. None where it cannot be computed.
        n_real: Number of real images.
        n_fake: Number of synthetic images.
        extractor: Network the features come from.
        estimator: How the number is computed from the features, with its parameters and the resize of the images.
        better: Which way is better.
        warning: What to beware of, or an empty string.
        why: Why there is no value, or an empty string.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    baseline: float | None
    n_real: int
    n_fake: int
    extractor: str
    estimator: str
    better: Better
    warning: str = ""
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON takes them; the baseline under its stored name, `floor`."""
        return {"floor" if key == "baseline" else key: value for key, value in asdict(self).items()}


_ROWS_PER_DIMENSION = 5
_EXTRAPOLATED_ROWS_PER_DIMENSION = 1.5
_NEIGHBOR_ROWS = 50
_KERNEL_ROWS = 30
_ROWS_PER_SPLIT = 100


def count_warning(name: str, n: int, m: int, dimensions: int, splits: int = 10) -> str:
    """What to beware of in a score at these counts, or an empty string.

    The covariance of fewer rows than columns is singular: the Frechet distance is then mostly bias, and its
    extrapolation takes off part of that only. In simulations with Gaussians whose variances fall as 1 / rank, two
    samples of one distribution had 55 % of the bias left at 0.4 rows a column, 19 % at 1, 7 % at 1.25, and about none
    from 1.5 on (heavy-tailed ones up to 10 %).

    Args:
        name: Short name of the score.
        n: Number of real images.
        m: Number of synthetic images.
        dimensions: Number of features (of classes for the Inception score).
        splits: Splits of the Inception score.

    >>> count_warning("fid", 40, 2000, 1280)
    '40 images, 1280 features: mostly bias; use kid'
    >>> count_warning("kid", 500, 500, 1280)
    ''
    """
    least = min(n, m)
    counts = f"{least} images, {dimensions} features"
    if name == "fid" and least <= dimensions:
        return f"{counts}: mostly bias; use kid"
    if name == "fid" and least < _ROWS_PER_DIMENSION * dimensions:
        return f"{counts}: biased upwards; compare at equal counts only, or use fid_infinity or kid"
    if name == "fid_infinity" and least < _EXTRAPOLATED_ROWS_PER_DIMENSION * dimensions:
        return f"{counts}: only part of the bias is taken off; use kid"
    if name == "kid" and least < _KERNEL_ROWS:
        return f"{least} images: the interval is rough below {_KERNEL_ROWS}"
    if name in ("precision", "recall", "density", "coverage"):
        if least < _NEIGHBOR_ROWS:
            return f"{least} images: too few for the shape of a manifold; take {_NEIGHBOR_ROWS} or more"
        if max(n, m) > 2 * least:
            return f"{n} real and {m} synthetic images: sets of unequal size shift it; take equally many"
    if name == "is" and m < _ROWS_PER_SPLIT * splits:
        return f"{m} images in {splits} splits: biased downwards; compare at equal counts only"
    return ""


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
