"""Plain windows: how a photograph of any size becomes the square that a network sees, with its mask.

The generator trains on such windows, and whatever is compared with its images is cut in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.guides import luminance
from defects.images import read_sample
from defects.masks import Mask, resize_mask
from defects.sample import Sample

__all__ = ["Framing", "as_channels", "central", "read_window", "scaled", "window_of"]

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Framing:
    """How a photograph becomes a square.

    Attributes:
        size: side S of the square, px.
        window: that many px of the photograph become S; None for its shorter side.
        channels: 1 or 3; a grey image is repeated, a colour image becomes luminance.
    """

    size: int
    window: int | None = None
    channels: int = 3


def read_window(sample: Sample, framing: Framing) -> tuple[Image, Mask]:
    """The central window of a sample: image (S, S, C) and mask (S, S).

    Raises:
        DataError: the image or its mask does not open.
    """
    return window_of(*read_sample(sample), framing)


def window_of(image: Image, mask: Mask, framing: Framing) -> tuple[Image, Mask]:
    """The central window (S, S, C) and (S, S) of an image (H, W, C) and its mask (H, W)."""
    image, mask = scaled(image, mask, framing)
    x, y = central(mask, framing.size)
    cut = slice(y, y + framing.size), slice(x, x + framing.size)
    return np.ascontiguousarray(image[cut]), np.ascontiguousarray(mask[cut])


def scaled(image: Image, mask: Mask, framing: Framing) -> tuple[Image, Mask]:
    """Image (H, W, C) and mask (H, W) at the scale at which `framing.window` px become S; no side is below S."""
    factor = framing.size / min(framing.window or min(mask.shape), *mask.shape)
    image = as_channels(image, framing.channels)
    if factor == 1.0:
        return image, mask
    height, breadth = (max(framing.size, round(side * factor)) for side in mask.shape)
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
