"""One image to make, and what is left of a request once everything random about it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from defects.guides import GuideValue
from defects.masks import Mask

__all__ = ["DrawnGuide", "Job", "Resolved"]


@dataclass(frozen=True)
class Job:
    """One image to make: of mask number `mask`, in cell number `cell` of the grid, the `index`-th of those.

    A filter may ask for several candidates of it: from 1 on, they differ in noise and drawn guide values.
    """

    mask: int
    cell: int
    index: int
    name: str
    candidate: int = 0


@dataclass(frozen=True)
class Resolved:
    """A job with everything random drawn.

    Attributes:
        condition: (S, S) mask the network sees, at the generator's size.
        label: (size, size) mask that is written; the same array where the sizes agree.
        vector: (G,) guide vector.
        raw: guide values; lengths are in px of the written image.
        scaled: guide values, numeric ones in 0..1.
        kind: name of the defect.
    """

    condition: Mask
    label: Mask
    vector: NDArray[np.float32]
    raw: dict[str, GuideValue]
    scaled: dict[str, GuideValue]
    kind: str


class DrawnGuide(NamedTuple):
    """The guide of a job: raw values in px of the generator's images, scaled ones, the kind's name, and whether the
    mask keeps its width."""

    raw: dict[str, GuideValue]
    scaled: dict[str, GuideValue]
    kind: str
    measured: bool
