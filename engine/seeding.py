"""Private random generators from one seed and the name of what is sampled; the global ones are never touched."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def seed_for(seed: int, *parts: str | int) -> int:
    """A 63-bit seed that depends on every part and on their order.

    >>> seed_for(1, "a", 2) == seed_for(1, "a", 2)
    True
    >>> seed_for(1, "a", 2) == seed_for(1, "a2")
    False
    """
    digest = hashlib.sha256(json.dumps([seed, *parts]).encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_generator(seed: int, *parts: str | int) -> np.random.Generator:
    """A NumPy generator of its own for (seed, parts)."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(seed_for(seed, *parts)))


def torch_generator(seed: int, *parts: str | int) -> torch.Generator:
    """A CPU generator of its own for (seed, parts); draw on the CPU, then move, so that devices agree.

    PyTorch's CPU generator keeps the low 32 bits of a seed: two of n items share their noise with a chance of about
    n * n / 8.6e9.
    """
    import torch

    return torch.Generator().manual_seed(seed_for(seed, *parts))
