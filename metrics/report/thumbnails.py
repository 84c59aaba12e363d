"""Small pictures inside the report: JPEG as data addresses, labels as outlines laid over them."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.images import encode_image
from defects.masks import Mask

__all__ = ["Picture", "data_address", "outline", "picture"]

Image = NDArray[np.uint8]

_MOST_BYTES = 6000
_QUALITIES = (80, 70, 60, 50, 40, 30, 20, 10, 5, 1)


@dataclass(frozen=True)
class Picture:
    """One picture in the page.

    Attributes:
        src: A `data:` address.
        alt: What it shows, in words.
        caption: What stands below it.
        side: Of the square in which `label` and `predicted` are drawn.
        label: SVG path around the written label; empty where there is none.
        predicted: SVG path around what the segmenter found.
    """

    src: str
    alt: str
    caption: str = ""
    side: int = 128
    label: str = ""
    predicted: str = ""


def picture(
    image: Image,
    *,
    alt: str,
    caption: str = "",
    mask: Mask | None = None,
    predicted: Mask | None = None,
    side: int = 128,
) -> Picture:
    """An image (S, S, C), at most `side` px wide, with its outlines (S, S)."""
    return Picture(
        data_address(image, side),
        alt,
        caption,
        image.shape[0],
        outline(mask) if mask is not None else "",
        outline(predicted) if predicted is not None else "",
    )


def data_address(image: Image, side: int, most: int = _MOST_BYTES) -> str:
    """An image (S, S, C) as a JPEG of at most `side` px and about `most` bytes, as `data:image/jpeg;base64,...`."""
    if image.shape[0] > side:
        image = np.atleast_3d(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)).astype(np.uint8)
    data = b""
    for quality in _QUALITIES:
        data = encode_image(image, "jpg", quality=quality)
        if len(data) <= most:
            break
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def outline(mask: Mask) -> str:
    """The border of a mask (S, S) as an SVG path in pixels; empty for an empty mask."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts = []
    for contour in contours:
        points = cv2.approxPolyDP(contour, 0.6, closed=True)[:, 0]
        parts.append("M" + "L".join(f"{x + 0.5:g} {y + 0.5:g}" for x, y in points.tolist()) + "Z")
    return "".join(parts)
