"""A choice among known defects: the likest most often, those far from it never."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

UNLIKE = 0.02
"""One of less weight, the likest having 1, is not drawn."""


def likest_mostly(off: NDArray[np.floating[Any]], share: float) -> int:
    """The number of one of several, with Gaussian weights.

    Args:
        off: (N,) squared differences from what is wanted, in units of a difference that counts.
        share: 0..1, tells which.

    >>> [likest_mostly(np.array([0.0, 0.1, 50.0]), share) for share in (0.0, 0.6, 1.0)]
    [0, 1, 1]
    """
    weights = np.exp(-0.5 * (off - off.min()))
    weights[weights < UNLIKE] = 0
    sums = np.cumsum(weights)
    return min(int(np.searchsorted(sums, share * sums[-1], side="right")), int(np.flatnonzero(weights)[-1]))
