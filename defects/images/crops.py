"""Plain windows: how a photograph of any size becomes the square that a network sees, with its mask.

The generator trains on such windows, and whatever is compared with its images is cut in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import luminance
from defects.images.decode import read_sample
from defects.masks.width import Mask, resize_mask
from defects.sample import Sample
from engine.errors import DataError

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class CropSpec:
    """How a photograph becomes a square.

    Attributes:
        size: side S of the square, px.
        window: that many px of the photograph become S; None for its shorter side.
        channels: 1 or 3; a grey image is repeated, a colour image becomes luminance.
    """

    size: int
    window: int | None = None
    channels: int = 3


def read_crop(sample: Sample, crop_spec: CropSpec) -> tuple[Image, Mask]:
    """The central window of a sample: image (S, S, C) and mask (S, S).

    Raises:
        DataError: the image or its mask does not open.
    """
    return crop_of(*read_sample(sample), crop_spec)


def crop_of(image: Image, mask: Mask, crop_spec: CropSpec) -> tuple[Image, Mask]:
    """The central window (S, S, C) and (S, S) of an image (H, W, C) and its mask (H, W)."""
    image, mask = scaled(image, mask, crop_spec)
    x, y = central(mask, crop_spec.size)
    cut = slice(y, y + crop_spec.size), slice(x, x + crop_spec.size)
    return np.ascontiguousarray(image[cut]), np.ascontiguousarray(mask[cut])


def scaled(image: Image, mask: Mask, crop_spec: CropSpec) -> tuple[Image, Mask]:
    """Image (H, W, C) and mask (H, W) at the scale at which `crop_spec.window` px become S; no side is below S."""
    factor = crop_spec.size / min(crop_spec.window or min(mask.shape), *mask.shape)
    image = as_channels(image, crop_spec.channels)
    if factor == 1.0:
        return image, mask
    height, breadth = (max(crop_spec.size, round(side * factor)) for side in mask.shape)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image = np.atleast_3d(cv2.resize(image, (breadth, height), interpolation=how)).astype(np.uint8, copy=False)
    return image, resize_mask(mask, (height, breadth))


def central(mask: Mask, size: int) -> tuple[int, int]:
    """Left and top of the window around the middle of the defect, or of the image where there is none."""
    height, breadth = mask.shape
    ys, xs = np.nonzero(mask)
    x, y = breadth / 2, height / 2
    if xs.size:  # the defect's pixel nearest to its middle, so that no window between two defects is taken
        nearest = int(np.argmin(np.square(xs - np.median(xs)) + np.square(ys - np.median(ys))))
        x, y = float(xs[nearest]), float(ys[nearest])
    half = size / 2
    left, top = (min(max(at, half), max(half, side - half)) - half for at, side in ((x, breadth), (y, height)))
    return round(left), round(top)


def as_channels(image: Image, channels: int) -> Image:
    """(H, W, 1 or 3) to (H, W, channels): grey is repeated, colour becomes luminance."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.round(luminance(image) * 255).astype(np.uint8)[..., None]


Box = tuple[int, int, int, int]
"""(x, y, width, height) in px of the photograph."""


@dataclass(frozen=True)
class TileRule:
    """How photographs are tiled and tiles are labelled.

    Attributes:
        side: of a tile, px.
        overlap: of neighbours, px.
        pixels: a tile is defective from so many defective pixels on.
        share: and from this share of its pixels on, rounded down to whole pixels as the source does.

    Raises:
        ValueError: the overlap is not below the side, or nothing would be needed to be defective.
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
    """Tiles that cover a photograph, row by row; the last of a row or column is moved back to end at the border.

    >>> [box[0] for box in boxes(384, 900, TileRule(384, 128))]
    [0, 256, 512, 516]

    Raises:
        DataError: the photograph is smaller than a tile; `where` names it.
    """
    if min(height, width) < rule.side:
        raise DataError(
            f"{where}: {width} x {height} px is smaller than a tile of {rule.side} px; choose a smaller tile, or leave "
            "the image out"
        )
    return [(x, y, rule.side, rule.side) for y in _starts(height, rule) for x in _starts(width, rule)]


def is_defective(mask: Mask, rule: TileRule) -> bool:
    """Whether a tile with this mask (side, side) counts as defective."""
    return int(mask.sum()) >= max(rule.pixels, int(rule.share * mask.size))


def stitch(maps: Sequence[NDArray[np.floating]], places: Sequence[Box], shape: tuple[int, int]) -> NDArray[np.float32]:
    """The map of a photograph (H, W) from those of its tiles, each (height, width) of its box; overlaps are averaged.

    Raises:
        ValueError: a map has not the shape of its box, or the counts differ.
    """
    if len(maps) != len(places):
        raise ValueError(f"expected one map a box, got {len(maps)} maps and {len(places)} boxes")
    total = np.zeros(shape, np.float32)
    count = np.zeros(shape, np.float32)
    for part, (x, y, width, height) in zip(maps, places, strict=True):
        if part.shape != (height, width):
            raise ValueError(f"expected a map of {(height, width)}, got {part.shape}; enlarge it to its tile first")
        total[y : y + height, x : x + width] += part
        count[y : y + height, x : x + width] += 1
    return np.divide(total, np.maximum(count, 1), dtype=np.float32)


def _starts(length: int, rule: TileRule) -> list[int]:
    step = rule.side - rule.overlap
    last = length - rule.side
    return [*range(0, last, step), last]
