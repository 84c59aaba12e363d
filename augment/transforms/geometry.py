"""One warp for all moves that follow one another, of image and mask at once."""

from __future__ import annotations

import threading

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.transforms.config import Border
from augment.transforms.operations import Mask, Matrix, Warp, as_array, is_affine

BORDERS: dict[Border, int] = {
    "reflect": cv2.BORDER_REFLECT_101, "edge": cv2.BORDER_REPLICATE, "black": cv2.BORDER_CONSTANT
}  # fmt: skip
HALF = 128  # a pixel of the mask is set from half of white upwards
_FLIP = {(True, False): 1, (False, True): 0, (True, True): -1}


class _Scratch(threading.local):
    """Two pictures of four channels that each thread keeps: to ask for memory takes longer than to fill it."""

    def __init__(self) -> None:
        self._pair = (np.empty((0, 0, 4), np.uint8), np.empty((0, 0, 4), np.uint8))

    def pair(self, shape: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Two of (H, W, 4)."""
        if self._pair[0].shape[:2] != shape:
            self._pair = np.empty((*shape, 4), np.uint8), np.empty((*shape, 4), np.uint8)
        return self._pair


_SCRATCH = _Scratch()


def any_set(mask: Mask) -> bool:
    """Whether any pixel is."""
    return bool(cv2.hasNonZero(mask.view(np.uint8)))


def warp(image: NDArray[np.uint8], mask: Mask, move: Warp, border: Border) -> tuple[NDArray[np.uint8], Mask]:
    """Image (H, W, C) and mask (H, W) moved together; bilinear, the mask set where half of its pixel is.

    They go as four channels, a grey image with its mask three times: OpenCV warps four channels in half the time of
    three, and in little more than that of one.
    """
    shape = image.shape
    if move.flips is not None:
        if move.flips == (False, False):
            return image, mask
        code = _FLIP[move.flips]
        return _flipped(image, code), _flipped(mask.view(np.uint8), code).view(np.bool_)
    if not any_set(mask):
        return _moved(image, move.matrix, border).reshape(shape), mask
    gray = mask.view(np.uint8) * np.uint8(255)
    given, four = _SCRATCH.pair(mask.shape)
    if shape[2] == 3:
        cv2.insertChannel(gray, cv2.cvtColor(image, cv2.COLOR_RGB2RGBA, given), 3)
    else:
        cv2.merge((image, gray, gray, gray), given)
    _moved(given, move.matrix, border, four)
    colors = cv2.cvtColor(four, cv2.COLOR_RGBA2RGB) if shape[2] == 3 else cv2.extractChannel(four, 0)
    return np.asarray(colors, np.uint8).reshape(shape), _binary(np.asarray(cv2.extractChannel(four, 3), np.uint8))


def warp_mask(mask: Mask, move: Warp, border: Border) -> Mask:
    """The mask alone."""
    if not any_set(mask):
        return mask
    if move.flips is not None:
        return _flipped(mask.view(np.uint8), _FLIP[move.flips]).view(np.bool_) if any(move.flips) else mask
    return _binary(_moved(mask.view(np.uint8) * np.uint8(255), move.matrix, border))


def _moved(
    pixels: NDArray[np.uint8], matrix: Matrix, border: Border, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    size = pixels.shape[1], pixels.shape[0]
    how = cv2.INTER_LINEAR
    array = as_array(matrix)
    if is_affine(matrix):
        return np.asarray(cv2.warpAffine(pixels, array[:2], size, out, flags=how, borderMode=BORDERS[border]), np.uint8)
    return np.asarray(cv2.warpPerspective(pixels, array, size, out, flags=how, borderMode=BORDERS[border]), np.uint8)


def _flipped(pixels: NDArray[np.uint8], code: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.flip(pixels, code), np.uint8).reshape(pixels.shape)


def _binary(gray: NDArray[np.uint8]) -> Mask:
    return gray >= HALF
