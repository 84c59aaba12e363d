"""Fields of random numbers, one a pixel, that both engines take from the same place.

Drawing a normal number for each pixel is the slowest part of a pipeline with noise. A *bank* of numbers is drawn once a
process, from a fixed seed, and a field is a stretch of it that begins at a place drawn for the image. Each stretch has
the bank's distribution, and two stretches that begin at different places are uncorrelated.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.seeding import numpy_generator

__all__ = ["BANK", "normal_bank", "normal_field", "offset_in_bank", "uniform_bank", "uniform_field"]

BANK = 1 << 22  # numbers in a bank: 16 MiB

Field = NDArray[np.float32]


@cache
def normal_bank() -> Field:
    """(BANK,) standard normal numbers, the same in every process."""
    return _frozen(numpy_generator(0, "noise bank", "normal").standard_normal(BANK, np.float32))


@cache
def uniform_bank() -> Field:
    """(BANK,) numbers in [0, 1), the same in every process."""
    return _frozen(numpy_generator(0, "noise bank", "uniform").random(BANK, np.float32))


def offset_in_bank(key: int, count: int) -> int | None:
    """Where the stretch of `count` numbers for a key begins, or None where it is too long for the bank."""
    return key % (BANK - count + 1) if count <= BANK // 2 else None


def normal_field(key: int, shape: tuple[int, ...], *, bank: bool = True) -> Field:
    """Standard normal numbers for a key; read only where they come from the bank."""
    count = int(np.prod(shape))
    offset = offset_in_bank(key, count) if bank else None
    if offset is None:
        return numpy_generator(key, "normal").standard_normal(shape, np.float32)
    return normal_bank()[offset : offset + count].reshape(shape)


def uniform_field(key: int, shape: tuple[int, ...], *, bank: bool = True) -> Field:
    """Numbers in [0, 1) for a key; read only where they come from the bank."""
    count = int(np.prod(shape))
    offset = offset_in_bank(key, count) if bank else None
    if offset is None:
        return numpy_generator(key, "uniform").random(shape, np.float32)
    return uniform_bank()[offset : offset + count].reshape(shape)


def _frozen(bank: Field) -> Field:
    bank.setflags(write=False)
    return bank
