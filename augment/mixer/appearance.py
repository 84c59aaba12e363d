"""What is kept of a picture to know it again when it was cropped, turned, mirrored, brightened or compressed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["KEYPOINTS", "SIDE", "Appearance", "appearance", "mirrored", "picture", "rooted"]

SIDE = 256
"""The longer side to which larger pictures are brought, px."""

KEYPOINTS = 150
_LEAST_SIDE = 96

Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Appearance:
    """One picture.

    Attributes:
        grey: (h, w) uint8, its longer side at most `SIDE`.
        points: (n, 2) keypoints (x, y), px of `grey`.
        descriptors: (n, 128) uint8 SIFT descriptors (Lowe 2004).
    """

    grey: NDArray[np.uint8]
    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


def picture(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, C) as a small grey picture (h, w)."""
    grey = image.astype(np.float32).mean(axis=2)
    longest = max(grey.shape)
    factor = SIDE / longest if longest > SIDE else max(1.0, _LEAST_SIDE / longest)
    if factor != 1.0:
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        size = (max(8, round(grey.shape[1] * factor)), max(8, round(grey.shape[0] * factor)))
        grey = cv2.resize(grey, size, interpolation=how)
    small: NDArray[np.uint8] = np.clip(np.round(grey), 0, 255).astype(np.uint8)
    return small


def appearance(grey: NDArray[np.uint8]) -> Appearance:
    """The keypoints of a small picture, found after its light is evened out, so that dull parts have some too."""
    light = grey.astype(np.float32)
    reach = max(grey.shape) / 16
    detail = light - cv2.GaussianBlur(light, (0, 0), reach)
    even = detail / np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), reach) + 4.0)
    # A detector of its own for each call: one shared by threads is not promised to be safe.
    sift = cv2.SIFT.create(nfeatures=KEYPOINTS, contrastThreshold=0.005, edgeThreshold=20)
    found, descriptors = sift.detectAndCompute(np.clip(128 + 42 * even, 0, 255).astype(np.uint8), None)
    if descriptors is None:
        return Appearance(grey, np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8))
    points = np.asarray([point.pt for point in found[:KEYPOINTS]], np.float32)
    return Appearance(grey, points, np.asarray(descriptors[:KEYPOINTS], np.uint8))


def mirrored(seen: Appearance) -> Appearance:
    """The picture left to right; its keypoints are found anew, since a descriptor does not mirror."""
    return appearance(np.ascontiguousarray(seen.grey[:, ::-1]))


def rooted(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Descriptors of length 1 whose products are Hellinger's measure (Arandjelović and Zisserman 2012)."""
    values = descriptors.astype(np.float32)
    root: NDArray[np.float32] = np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-6))
    return root
