"""Light variation of training windows, drawn first and then applied: flips, shifts, brightness and contrast."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.masks import Mask

__all__ = ["Variation", "draw", "vary"]

_SHIFT = 0.25  # of the side: the windows of real defects are centred, those of asked-for ones are anywhere
_ZOOM = 0.15
_BRIGHTNESS = 0.08
_CONTRAST = 0.2


@dataclass(frozen=True)
class Variation:
    """What is done to one window; `shift` in shares of the side, `gain` and `offset` on luminance in 0..1."""

    flip_x: bool
    flip_y: bool
    transpose: bool
    zoom: float
    shift: tuple[float, float]
    gain: float
    offset: float


def draw(rng: np.random.Generator) -> Variation:
    """One variation."""
    flip_x, flip_y, transpose = (bool(value) for value in rng.random(3) < 0.5)
    zoom = 1 + _ZOOM * rng.uniform(-1, 1)
    x, y = rng.uniform(-_SHIFT, _SHIFT, 2)
    gain, offset = 1 + _CONTRAST * rng.uniform(-1, 1), _BRIGHTNESS * rng.uniform(-1, 1)
    return Variation(flip_x, flip_y, transpose, float(zoom), (float(x), float(y)), float(gain), float(offset))


def vary(image: NDArray[np.uint8], mask: Mask, how: Variation) -> tuple[NDArray[np.float32], Mask]:
    """Image (S, S, C) and mask (S, S) to an image (S, S, C) float in [0, 1] and its mask; borders are mirrored."""
    side = mask.shape[0]
    if how.transpose:
        image, mask = image.transpose(1, 0, 2), mask.T
    axes = tuple(axis for axis, flipped in ((0, how.flip_y), (1, how.flip_x)) if flipped)
    image, mask = np.flip(image, axes), np.flip(mask, axes)
    centre = (side - 1) / 2
    moved = [centre * (1 - how.zoom) + share * side for share in how.shift]
    matrix = np.asarray([[how.zoom, 0, moved[0]], [0, how.zoom, moved[1]]], np.float32)
    size, border = (side, side), cv2.BORDER_REFLECT_101
    pixels = cv2.warpAffine(np.ascontiguousarray(image), matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
    soft = cv2.warpAffine(
        np.ascontiguousarray(mask, np.float32), matrix, size, flags=cv2.INTER_LINEAR, borderMode=border
    )
    light = pixels.reshape(side, side, -1).astype(np.float32) / 255
    middle = float(light.mean())
    varied: NDArray[np.float32] = np.clip((light - middle) * how.gain + middle + how.offset, 0, 1).astype(np.float32)
    moved_mask: Mask = np.asarray(soft >= 0.5, np.bool_)
    return varied, moved_mask
