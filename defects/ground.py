"""The ground that a defect lies on, as far as its surroundings tell: how bright and how rough it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from defects.guides import luminance, ring_in_box
from defects.masks import Mask


class Ground(NamedTuple):
    """Mean and standard deviation of the luminance (0..1) of a ring around a mask."""

    level: float
    grain: float


def ground_around(image: NDArray[np.uint8], mask: Mask, radius: int) -> Ground:
    """The ground around a mask (H, W) in an image (H, W, C); of all that is not the mask where it has no ring.

    Args:
        image: With or without its defect, which is not looked at.
        mask: Not empty.
        radius: Of the ring, px; see `defects.guides.ring`.

    Raises:
        ValueError: for an empty mask.
    """
    cut, around = ring_in_box(mask, radius)
    if not around.any():
        cut, around = (slice(None), slice(None)), ~mask if not mask.all() else mask
    light = luminance(np.ascontiguousarray(image[cut]))[around]
    return Ground(float(light.mean(dtype=np.float64)), float(light.std(dtype=np.float64)))
