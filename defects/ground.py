"""The ground that a defect lies on, as far as its surroundings tell: how bright and how rough it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from defects.guides import luminance, ring
from defects.masks import Mask, bounding_box


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
    box = bounding_box(mask)
    if box is None:
        raise ValueError("expected a mask with a defect, got an empty one; there is nothing to lie on")
    x, y, w, h = box
    reach = radius + 3
    rows = slice(max(0, y - reach), y + h + reach)
    columns = slice(max(0, x - reach), x + w + reach)
    around = ring(mask[rows, columns], radius)
    if not around.any():
        rows = columns = slice(None)
        around = ~mask if not mask.all() else mask
    light = luminance(np.ascontiguousarray(image[rows, columns]))[around]
    return Ground(float(light.mean(dtype=np.float64)), float(light.std(dtype=np.float64)))
