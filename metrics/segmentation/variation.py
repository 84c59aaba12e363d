"""Light variation of training windows, drawn first and then applied: flips, shifts, brightness and contrast."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.masks import Mask

__all__ = ["Variation", "draw", "vary"]

_MOVED = 0.5  # share of windows: moving invents a mirrored border, and a chipped edge is a defect too
_SHIFT = 0.25  # of the side: the windows of real defects are centred, those of asked-for ones are anywhere
_ZOOM = (0.9, 1.25)
_BRIGHTNESS = 0.08
_CONTRAST = 0.2


@dataclass(frozen=True)
class Variation:
    """What is done to one window; `shift` in shares of the side, `gain` and `offset` on luminance in 0..1."""

    flip_x: bool
    flip_y: bool
    zoom: float
    shift: tuple[float, float]
    gain: float
    offset: float


def draw(rng: np.random.Generator) -> Variation:
    """One variation."""
    flip_x, flip_y, moved = (bool(value) for value in rng.random(3) < (0.5, 0.5, _MOVED))
    zoom, x, y = rng.uniform(*_ZOOM), *rng.uniform(-_SHIFT, _SHIFT, 2)
    gain, offset = 1 + _CONTRAST * rng.uniform(-1, 1), _BRIGHTNESS * rng.uniform(-1, 1)
    place = (float(zoom), (float(x), float(y))) if moved else (1.0, (0.0, 0.0))
    return Variation(flip_x, flip_y, *place, float(gain), float(offset))


def vary(image: NDArray[np.uint8], mask: Mask, how: Variation) -> tuple[NDArray[np.float32], Mask]:
    """Image (S, S, C) and mask (S, S) to an image (S, S, C) float in [0, 1] and its mask; borders are mirrored."""
    side = mask.shape[0]
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
