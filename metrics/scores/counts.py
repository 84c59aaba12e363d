"""Whether there are enough images for an estimator."""

from __future__ import annotations

__all__ = ["count_warning"]

_ROWS_PER_DIMENSION = 5
_EXTRAPOLATED_ROWS_PER_DIMENSION = 1.5
_NEIGHBOUR_ROWS = 50
_KERNEL_ROWS = 30
_ROWS_PER_SPLIT = 100


def count_warning(name: str, n: int, m: int, dimensions: int, splits: int = 10) -> str:
    """What to beware of in a score at these counts, or an empty string.

    The covariance of fewer rows than columns is singular: the Frechet distance is then mostly bias, and its
    extrapolation takes off part of that only. In simulations with Gaussians whose variances fall as 1 / rank, two
    samples of one distribution kept 55 % of the bias at 0.4 rows a column, 19 % at 1, 7 % at 1.25, and about none from
    1.5 on (heavy-tailed ones up to 10 %).

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
        if least < _NEIGHBOUR_ROWS:
            return f"{least} images: too few for the shape of a manifold; take {_NEIGHBOUR_ROWS} or more"
        if max(n, m) > 2 * least:
            return f"{n} real and {m} synthetic images: sets of unequal size shift it; take equally many"
    if name == "is" and m < _ROWS_PER_SPLIT * splits:
        return f"{m} images in {splits} splits: biased downwards; compare at equal counts only"
    return ""
