"""The pixels of one image of a mixture: the same whether a training asks for them or a folder is written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augment.mixer.plan import Item, Plan
from defects.masks import Mask
from defects.sample import GOOD
from engine.seeding import numpy_generator

__all__ = ["UNCHANGED", "Pixels", "pixels"]

UNCHANGED = "unchanged"
"""Named as what was applied where every try of the augmentation lost the defect."""

_TRIES = 8


@dataclass(frozen=True)
class Pixels:
    """One version of an image.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W).
        applied: The transforms, in order.
    """

    image: NDArray[np.uint8]
    mask: Mask
    applied: list[str]


def pixels(plan: Plan, item: Item, version: int) -> Pixels:
    """Reads an image and augments it.

    A copy depends on the seed, the item's name and its number alone. A copy that lost the defect would be a wrong
    label: it is drawn anew, and left unchanged if that does not help.

    Args:
        plan: Of the mixture.
        item: Of the plan.
        version: 0 for the image itself, 1 and up for augmented copies.

    Raises:
        DataError: The image or its mask does not open.
        ValueError: A copy of an image that is not augmented.
    """
    image, mask = plan.cutter.read(item.sample)
    if version == 0:
        return Pixels(image, mask, [])
    if plan.pipeline is None or item.split != "train":
        raise ValueError(f"expected version 0 of {item.name}, got {version}; only training images have copies")
    for attempt in range(_TRIES):
        rng = numpy_generator(plan.request.seed, "augment", item.name, version, attempt)
        other, marked, applied = plan.pipeline(image, mask, rng)
        if item.sample.label == GOOD or marked.any():
            return Pixels(other, marked, applied)
    return Pixels(image, mask, [UNCHANGED])
