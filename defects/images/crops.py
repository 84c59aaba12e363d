"""Crops: how an image of any size becomes the input of a network, with its mask; and sliding tiles.

Generators train on such crops, and whatever is compared with their images is cropped in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.images.decode import as_channels, read_sample
from defects.masks.width import Mask, resize_mask
from defects.sample import Image, Sample
from engine.errors import DataError


@dataclass(frozen=True)
class CropSpec:
    """How an image is cropped.

    Attributes:
        size: side S of the crop after resizing, px.
        crop: side of the crop in the image, px; None for the image's shorter side.
        channels: 1 or 3; a gray image is repeated, a color image becomes luminance.
    """

    size: int
    crop: int | None = None
    channels: int = 3


def read_crop(sample: Sample, crop_spec: CropSpec) -> tuple[Image, Mask]:
    """The central crop of a sample: image (S, S, C) and mask (S, S).

    Raises:
        DataError: the image or its mask does not open.
    """
    return crop_of(*read_sample(sample), crop_spec)


def crop_of(image: Image, mask: Mask, crop_spec: CropSpec) -> tuple[Image, Mask]:
    """The central crop (S, S, C) and (S, S) of an image (H, W, C) and its mask (H, W)."""
    image, mask = scaled(image, mask, crop_spec)
    x, y = central(mask, crop_spec.size)
    cut = slice(y, y + crop_spec.size), slice(x, x + crop_spec.size)
    return np.ascontiguousarray(image[cut]), np.ascontiguousarray(mask[cut])


def scaled(image: Image, mask: Mask, crop_spec: CropSpec) -> tuple[Image, Mask]:
    """Image (H, W, C) and mask (H, W) at the scale at which `crop_spec.crop` px become S; no side is below S."""
    factor = crop_spec.size / min(crop_spec.crop or min(mask.shape), *mask.shape)
    image = as_channels(image, crop_spec.channels)
    if factor == 1.0:
        return image, mask
    height, width = (max(crop_spec.size, round(side * factor)) for side in mask.shape)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image = np.atleast_3d(cv2.resize(image, (width, height), interpolation=how)).astype(np.uint8, copy=False)
    return image, resize_mask(mask, (height, width))


def central(mask: Mask, size: int) -> tuple[int, int]:
    """Left and top of the crop around the middle of the defect, or of the image where there is none."""
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    x, y = width / 2, height / 2
    if xs.size:  # the defect's pixel nearest to its middle, so that the crop does not fall between two defects
        nearest = int(np.argmin(np.square(xs - np.median(xs)) + np.square(ys - np.median(ys))))
        x, y = float(xs[nearest]), float(ys[nearest])
    half = size / 2
    left, top = (min(max(at, half), max(half, side - half)) - half for at, side in ((x, width), (y, height)))
    return round(left), round(top)


Box = tuple[int, int, int, int]
"""(x, y, width, height) in px of the image."""


@dataclass(frozen=True)
class TileRule:
    """How images are tiled and tiles are labeled.

    Attributes:
        side: of a tile, px.
        overlap: of neighbors, px.
        pixels: fewest defective pixels of a defective tile.
        share: smallest share of defective pixels, rounded down to whole pixels as the paper does.

    Raises:
        ValueError: the overlap is not below the side, or a tile without a defective pixel would be defective.
    """

    side: int
    overlap: int = 0
    pixels: int = 1
    share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.side:
            raise ValueError(f"expected an overlap from 0 to below the side {self.side}, got {self.overlap}")
        if self.pixels < 1 or not 0 <= self.share <= 1:
            raise ValueError(f"expected at least 1 px and a share in 0..1, got {self.pixels} and {self.share}")


def boxes(height: int, width: int, rule: TileRule, *, where: str = "image") -> list[Box]:
    """Tiles that cover an image, row by row; the last of a row or column is moved back to end at the border.

    >>> [box[0] for box in boxes(384, 900, TileRule(384, 128))]
    [0, 256, 512, 516]

    Raises:
        DataError: the image is smaller than a tile; `where` names it.
    """
    if min(height, width) < rule.side:
        raise DataError(
            f"{where}: {width} x {height} px is smaller than a tile of {rule.side} px; choose a smaller tile, or leave "
            "the image out",
            code="E-data-small-image",
        )
    return [(x, y, rule.side, rule.side) for y in _starts(height, rule) for x in _starts(width, rule)]


def is_defective(mask: Mask, rule: TileRule) -> bool:
    """Whether a tile with this mask (side, side) counts as defective."""
    return int(mask.sum()) >= max(rule.pixels, int(rule.share * mask.size))


def stitch(maps: Sequence[NDArray[np.floating]], places: Sequence[Box], shape: tuple[int, int]) -> NDArray[np.float32]:
    """The map of an image (H, W) from those of its tiles, each (height, width) of its box; overlaps are averaged.

    Raises:
        ValueError: a map has not the shape of its box, or the counts differ.
    """
    if len(maps) != len(places):
        raise ValueError(f"expected one map a box, got {len(maps)} maps and {len(places)} boxes")
    total = np.zeros(shape, np.float32)
    count = np.zeros(shape, np.float32)
    for tile, (x, y, width, height) in zip(maps, places, strict=True):
        if tile.shape != (height, width):
            raise ValueError(f"expected a map of {(height, width)}, got {tile.shape}; enlarge it to its tile first")
        total[y : y + height, x : x + width] += tile
        count[y : y + height, x : x + width] += 1
    return np.divide(total, np.maximum(count, 1), dtype=np.float32)


def _starts(length: int, rule: TileRule) -> list[int]:
    step = rule.side - rule.overlap
    last = length - rule.side
    return [*range(0, last, step), last]
