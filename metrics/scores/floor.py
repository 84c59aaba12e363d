"""Real against real: what a score says of one half of the real images against the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.seeding import numpy_generator

__all__ = ["real_floor"]


def real_floor(
    real: Tensor, score: Callable[[Tensor, Tensor], NDArray[np.float64]], *, halvings: int, seed: int
) -> NDArray[np.float64] | None:
    """Mean scores (K,) of random disjoint halves of the same real rows.

    Each half has half the images, so that the floor of a score whose bias grows with fewer images is on the high side.

    Args:
        real: Features (N, D), float64.
        score: Scores (K,) of (real, fake) features.
        halvings: Number of random halvings.
        seed: Seed of the halvings.

    Returns:
        The scores, or None where a half is too small or does not vary.
    """
    generator = numpy_generator(seed, "floor")
    half = len(real) // 2
    found = []
    for _ in range(halvings):
        order = torch.from_numpy(generator.permutation(len(real)))
        try:
            found.append(score(real[order[:half]], real[order[half:]]))
        except ValueError:
            return None
    return np.asarray(np.mean(found, axis=0))
