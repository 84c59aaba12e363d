"""What a plan is made of: drawn operations that either engine carries out without drawing anything more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augment.catalogue.matrices import Matrix

__all__ = ["Box", "Erase", "Light", "Mask", "Mix", "Operation", "Partner", "Plan", "Warp"]

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # left, top, width, height, px
Partner = tuple[NDArray[np.uint8], Mask]


@dataclass(frozen=True)
class Warp:
    """Moves that follow one another, as one matrix; `flips` where they only flip."""

    matrix: Matrix
    flips: tuple[bool, bool] | None


@dataclass(frozen=True)
class Light:
    """A transform of grey levels with its drawn values."""

    name: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Erase:
    """A covered box; `follow` where the mask is cleared with it."""

    box: Box
    fill: str
    field: int
    bank: bool
    follow: bool


@dataclass(frozen=True)
class Mix:
    """Another picture, by its place among the partners, with its weight."""

    partner: int
    weight: float


Operation = Warp | Light | Erase | Mix


@dataclass(frozen=True)
class Plan:
    """What is done to one image.

    Attributes:
        operations: one for each slot of the pipeline, None where nothing is done.
        applied: names in order; one that was passed over as `name:skipped`.
        keep: the label must not end up empty.
    """

    operations: tuple[Operation | None, ...]
    applied: list[str]
    keep: bool
