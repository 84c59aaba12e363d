"""The piece of a photograph that the network sees, at the network's scale, and the way back to the photograph's own."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.masks import Mask, bounding_box

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

BEYOND = 16
"""Px of the network's scale beyond a photograph's edge that the network may see, mirrored."""

CONTEXT = 24
"""Px of the network's scale around the mask that the network sees at least."""


@dataclass(frozen=True)
class Crop:
    """What the network sees: `width` x `height` px of its own scale from (x, y) on, maybe outside the photograph.

    Attributes:
        factors: px of the network's scale for one px of the photograph, across and down.
        full: (height, width) of the photograph at the network's scale.
    """

    x: int
    y: int
    width: int
    height: int
    factors: tuple[float, float]
    full: tuple[int, int]


def working_scale(shape: tuple[int, int], size: int, window: int | None) -> float:
    """Px of the network's scale for one px of a photograph, as `defects.windows.scaled` has it in training."""
    return size / min(window or min(shape), *shape)


def crop_around(mask: Mask, scale: float, *, side: int, stride: int) -> Crop:
    """The crop for a mask (H, W) in its photograph: as large as in training, larger where the defect is.

    A defect of any length is painted at once, since the network takes crops of any sides. At the photograph's edges the
    crop goes `BEYOND` px further, where the photograph is mirrored: the border of the network's own maps is not seen.
    """
    height, breadth = mask.shape
    full = max(1, round(height * scale)), max(1, round(breadth * scale))
    factors = full[1] / breadth, full[0] / height
    box = bounding_box(mask) or (0, 0, breadth, height)
    starts, lengths = [], []
    for axis, whole in ((0, full[1]), (1, full[0])):
        first, length = box[axis] * factors[axis], box[axis + 2] * factors[axis]
        wanted = min(max(side, int(np.ceil(length)) + 2 * CONTEXT), whole + 2 * BEYOND)
        wanted = -(-wanted // stride) * stride
        start = round(first + length / 2 - wanted / 2)
        starts.append(max(-BEYOND, min(start, whole + BEYOND - wanted)))
        lengths.append(wanted)
    return Crop(starts[0], starts[1], lengths[0], lengths[1], factors, full)


def cut_out(picture: Image, crop: Crop, how: int | None) -> Image:
    """The crop of a photograph, resized as a whole first unless `how` is None; mirrored where the picture ends."""
    if how is not None and picture.shape[:2] != crop.full:
        picture = np.atleast_3d(cv2.resize(picture, crop.full[::-1], interpolation=how))
        picture = picture.reshape(*crop.full, -1)
    spans, margins = [], []
    for start, length, whole in ((crop.y, crop.height, crop.full[0]), (crop.x, crop.width, crop.full[1])):
        spans.append(slice(max(0, start), min(whole, start + length)))
        margins.append((max(0, -start), max(0, start + length - whole)))
    part = picture[spans[0], spans[1]]
    return np.ascontiguousarray(np.pad(part, (*margins, (0, 0)), mode="symmetric").astype(np.uint8, copy=False))


def own_box(crop: Crop, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in the photograph of what the crop covers."""
    left, top = (int(np.floor(at / f)) for at, f in zip((crop.x, crop.y), crop.factors, strict=True))
    right, bottom = (
        int(np.ceil((at + length) / f))
        for at, length, f in zip((crop.x, crop.y), (crop.width, crop.height), crop.factors, strict=True)
    )
    return max(0, left), max(0, top), min(right, shape[1]), min(bottom, shape[0])


def enlarged(values: Floats, crop: Crop, box: tuple[int, int, int, int]) -> Floats:
    """Values of the crop at the photograph's resolution, by bilinear interpolation between pixel centres."""
    columns, rows = (
        (np.arange(box[i], box[i + 2]) + 0.5) * crop.factors[i] - 0.5 - at for i, at in ((0, crop.x), (1, crop.y))
    )
    down, across = np.meshgrid(rows.astype(np.float32), columns.astype(np.float32), indexing="ij")
    found = cv2.remap(values, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32).reshape(*down.shape, *values.shape[2:])
