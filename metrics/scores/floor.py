"""Real against real: what a score says of one half of the real images against the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.seeding import numpy_generator

__all__ = ["real_floor"]


def real_floor(
    real: Tensor,
    score: Callable[[Tensor, Tensor], NDArray[np.float64]],
    *,
    halvings: int,
    seed: int,
    parts: Sequence[str] | None = None,
) -> NDArray[np.float64] | None:
    """Mean scores (K,) of random disjoint halves of the same real rows.

    Each half has half the images, so that the floor of a score whose bias grows with fewer images is on the high side.
    Images of one part stay in one half: several exposures of the same part, spread over both halves, would make the
    halves look far more alike than images of other parts ever can.

    Args:
        real: Features (N, D), float64.
        score: Scores (K,) of (real, fake) features.
        halvings: Number of random halvings.
        seed: Seed of the halvings.
        parts: The part that each row shows; None where every row is a part of its own.

    Returns:
        The scores, or None where a half is too small or does not vary, or all rows are of one part.
    """
    generator = numpy_generator(seed, "floor")
    owner = np.arange(len(real)) if parts is None else np.unique(np.asarray(parts), return_inverse=True)[1]
    found = []
    for _ in range(halvings):
        first, second = _halves(owner, generator)
        try:
            found.append(score(real[first], real[second]))
        except ValueError:
            return None
    return np.asarray(np.mean(found, axis=0))


def _halves(owner: NDArray[np.intp], generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Rows of two random halves, as equal as whole parts allow; `owner` (N,) is the part of each row."""
    counts = np.bincount(owner)
    order = generator.permutation(len(counts))
    reached = np.cumsum(counts[order])
    cut = int(np.argmin(np.abs(reached[:-1] - len(owner) // 2))) + 1 if len(counts) > 1 else 0
    rank = np.empty(len(counts), np.intp)
    rank[order] = np.arange(len(counts))
    rows = np.argsort(rank[owner], kind="stable")
    at = int(reached[cut - 1]) if cut else 0
    return torch.from_numpy(rows[:at]), torch.from_numpy(rows[at:])
