"""The squares in which a photograph is looked at: they cover it, and no label decides where they lie.

A window around the defect would tell where it is, and so that there is one; what is centred would be defective. Here
the squares are the same for good and defective photographs, and the photograph's score is the highest of its squares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.images.crops import Box, as_channels
from defects.images.decode import read_image, read_mask, read_sample
from defects.images.header import image_info
from defects.masks.width import Mask, resize_mask
from defects.sample import GOOD, Sample

UNCLEAR = -1

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """One square of a photograph.

    Attributes:
        box: In the photograph.
        image: (S, S, C).
        mask: (S, S).
        label: 1 defective, 0 good, `UNCLEAR` for one with so little of a defect that nothing is learnt from it.
    """

    box: Box
    image: Image
    mask: Mask
    label: int


def covering(height: int, width: int, window: int | None) -> list[Box]:
    """Squares of the shorter side, or of `window` px, spread evenly so that they cover a photograph.

    >>> covering(100, 250, None)
    [(0, 0, 100, 100), (75, 0, 100, 100), (150, 0, 100, 100)]
    """
    side = min(window or height, height, width)

    def starts(length: int) -> list[int]:
        count = math.ceil(length / side)
        return [round(place * (length - side) / max(1, count - 1)) for place in range(count)]

    return [(x, y, side, side) for y in starts(height) for x in starts(width)]


def views_of(sample: Sample, *, size: int, channels: int, window: int | None = None, least: int = 1) -> list[View]:
    """The squares of a photograph.

    Where it is not known which pixels are defective, all squares of a defective photograph are.

    Args:
        sample: The photograph.
        size: S, px.
        channels: C.
        window: Side of the squares in the photograph, px; None for its shorter side.
        least: Defective px of the photograph from which on a square is defective.

    Raises:
        DataError: The image or its mask does not open.
    """
    if sample.has_pixels:
        image, mask = read_sample(sample)
    else:
        image = read_image(sample.image, depth16=sample.depth16)
        mask = np.zeros(image.shape[:2], np.bool_)
    image = as_channels(image, channels)
    boxes = covering(mask.shape[0], mask.shape[1], window)
    counts = [int(mask[y : y + side, x : x + side].sum()) for x, y, side, _ in boxes]
    most = max(counts)
    views = []
    for (x, y, side, other), count in zip(boxes, counts, strict=True):
        label = label_of(sample, count, most, least)
        cut = slice(y, y + side), slice(x, x + side)
        views.append(View((x, y, side, other), *_resized(image[cut], mask[cut], size), label))
    return views


def label_of(sample: Sample, count: int, most: int, least: int) -> int:
    """Label of a square with `count` defective px, in a photograph whose squares have up to `most`."""
    if sample.label == GOOD or (not count and sample.has_pixels):
        return 0
    if not sample.has_pixels or count >= min(least, most):
        return 1
    return UNCLEAR


def labelled_boxes(sample: Sample, *, window: int | None, least: int) -> list[tuple[Box, int]]:
    """The same squares and labels as of `views_of`; of the image its header alone is read.

    Raises:
        DataError: The image or its mask does not open.
    """
    info = image_info(sample.image)
    boxes = covering(info.upright[0], info.upright[1], window)
    mask = read_mask(sample, info) if sample.label != GOOD and sample.has_pixels else None
    counts = [0 if mask is None else int(mask[y : y + h, x : x + w].sum()) for x, y, w, h in boxes]
    most = max(counts)
    return [(box, label_of(sample, count, most, least)) for box, count in zip(boxes, counts, strict=True)]


def _resized(image: Image, mask: Mask, size: int) -> tuple[Image, Mask]:
    side = mask.shape[0]
    if side == size:
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)
    how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    small = np.atleast_3d(cv2.resize(np.ascontiguousarray(image), (size, size), interpolation=how))
    return small.astype(np.uint8, copy=False), resize_mask(np.ascontiguousarray(mask), (size, size))
