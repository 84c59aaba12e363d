"""Operations on one image, the 3 x 3 matrices of camera transforms, and one warp of image and mask for all of them."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.sample import Image

Border = Literal["reflect", "edge", "black"]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]
Box = tuple[int, int, int, int]  # left, top, width, height, px
# Row by row, from pixel centers of the input to pixel centers of the output. Plain numbers: for nine of them a call of
# NumPy takes longer than the arithmetic.
Matrix = tuple[float, float, float, float, float, float, float, float, float]

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

BORDERS: dict[Border, int] = {
    "reflect": cv2.BORDER_REFLECT_101, "edge": cv2.BORDER_REPLICATE, "black": cv2.BORDER_CONSTANT
}  # fmt: skip
HALF = 128  # a pixel of the mask is set from half of white upwards
_FLIP = {(True, False): 1, (False, True): 0, (True, True): -1}


def after(second: Matrix, first: Matrix) -> Matrix:
    """The matrix of `first` followed by `second`: their product.

    >>> after((2, 0, 0, 0, 2, 0, 0, 0, 1), (1, 0, 3, 0, 1, 4, 0, 0, 1))
    (2, 0, 6, 0, 2, 8, 0, 0, 1)
    """
    if first is IDENTITY:
        return second
    a, b, c, d, e, f, g, h, i = second
    j, k, l, m, n, o, p, q, r = first  # noqa: E741 - the letters in order
    return (
        a * j + b * m + c * p, a * k + b * n + c * q, a * l + b * o + c * r,
        d * j + e * m + f * p, d * k + e * n + f * q, d * l + e * o + f * r,
        g * j + h * m + i * p, g * k + h * n + i * q, g * l + h * o + i * r,
    )  # fmt: skip


def matrix_of(name: str, values: Mapping[str, Any], height: int, width: int) -> Matrix:
    """The matrix of a sampled camera transform.

    Args:
        name: a transform of the family `camera`.
        values: its sampled settings.
        height: of the image, px.
        width: of the image, px.
    """
    x, y = width - 1.0, height - 1.0
    if name == "perspective":
        return _perspective(values["corner"], height, width)
    if name == "translation":
        return _matrix(1.0, 0.0, values["x"] * width, 0.0, 1.0, values["y"] * height)
    if name in ("horizontal_flip", "vertical_flip", "flip"):
        axis = values.get("axis", name.removesuffix("_flip"))
        left, up = axis != "vertical", axis != "horizontal"
        return _matrix(-1.0 if left else 1.0, 0.0, x if left else 0.0, 0.0, -1.0 if up else 1.0, y if up else 0.0)
    if name == "rotation":
        angle = math.radians(values["degrees"])
        sine, cosine = math.sin(angle), math.cos(angle)
        return _about(x / 2, y / 2, cosine, sine, -sine, cosine)
    if name == "shear":
        return _about(x / 2, y / 2, 1.0, math.tan(math.radians(values["x"])), math.tan(math.radians(values["y"])), 1.0)
    if name == "zoom":
        return _about(x / 2, y / 2, values["factor"], 0.0, 0.0, values["factor"])
    if name == "centre_crop":
        # whole pixels, so that the crop can be cut first; then pixel areas, not centers, are stretched
        across, down = max(1, round(values["keep"] * width)), max(1, round(values["keep"] * height))
        a, d = width / across, height / down
        left, top = (width - across) // 2, (height - down) // 2
        return _matrix(a, 0.0, (0.5 - left) * a - 0.5, 0.0, d, (0.5 - top) * d - 0.5)
    raise ValueError(f"expected a transform that moves pixels, got {name}")


def flips_of(matrix: Matrix, height: int, width: int) -> tuple[bool, bool] | None:
    """(horizontal, vertical) where a matrix is a flip or the identity, else None."""
    a, b, c, d, e, f, g, h, _ = matrix
    if b or d or g or h or abs(a) != 1.0 or abs(e) != 1.0:
        return None
    if c != (width - 1 if a < 0 else 0) or f != (height - 1 if e < 0 else 0):
        return None
    return a < 0, e < 0


def is_affine(matrix: Matrix) -> bool:
    """Whether the matrix is affine."""
    return matrix[6] == 0.0 and matrix[7] == 0.0


def _matrix(a: float, b: float, c: float, d: float, e: float, f: float) -> Matrix:
    return a, b, c, d, e, f, 0.0, 0.0, 1.0


def _about(x: float, y: float, a: float, b: float, d: float, e: float) -> Matrix:
    """A linear map with the fixed point (x, y)."""
    return _matrix(a, b, x - a * x - b * y, d, e, y - d * x - e * y)


def _perspective(corner: tuple[float, ...], height: int, width: int) -> Matrix:
    x, y = width - 1.0, height - 1.0
    corners = np.array(((0, 0), (x, 0), (x, y), (0, y)), np.float32)
    moved = corners + np.array(corner, np.float32).reshape(4, 2) * (width, height)
    a, b, c, d, e, f, g, h, i = cv2.getPerspectiveTransform(corners, moved.astype(np.float32)).ravel().tolist()
    return a, b, c, d, e, f, g, h, i


@dataclass(frozen=True)
class Warp:
    """Camera transforms that follow one another, as one matrix; `flips` where they only flip."""

    matrix: Matrix
    flips: tuple[bool, bool] | None


@dataclass(frozen=True)
class Light:
    """A transform of gray levels with its sampled values."""

    name: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Erase:
    """A covered box; `follow` where the mask is cleared with it."""

    box: Box
    fill: str
    field: int
    bank: bool
    follow: bool


@dataclass(frozen=True)
class Mix:
    """Blending with another image: its index among the partners, and its weight."""

    partner: int
    weight: float


Partner = tuple[Image, Mask]
Operation = Warp | Light | Erase | Mix


@dataclass(frozen=True)
class Plan:
    """The operations on one image.

    Attributes:
        operations: one for each slot of the pipeline, None where nothing is done.
        applied: names in order; a skipped one as `name:skipped`.
        keep: whether the mask must not become empty.
    """

    operations: tuple[Operation | None, ...]
    applied: list[str]
    keep: bool


def moved_points(points: Points, matrix: Matrix) -> Points:
    """Points (2, N), rows x and y, px, under a matrix."""
    x, y = points
    a, b, c, d, e, f, g, h, i = matrix
    moved = np.stack((a * x + b * y + c, d * x + e * y + f))
    return moved if is_affine(matrix) else np.asarray(moved / (g * x + h * y + i))


def inside(points: Points, matrix: Matrix, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which points stay in an image of shape (H, W) under a matrix."""
    x, y = moved_points(points, matrix)
    return np.asarray((x >= -0.5) & (x <= shape[1] - 0.5) & (y >= -0.5) & (y <= shape[0] - 0.5))


def within(points: Points, box: Box) -> NDArray[np.bool_]:
    """Which points lie under a box."""
    x, y = np.rint(points)
    left, top, width, height = box
    return np.asarray((x >= left) & (x < left + width) & (y >= top) & (y < top + height))


class _Scratch(threading.local):
    """Two images of four channels per thread: to allocate memory takes longer than to fill it."""

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
    """Warps image (H, W, C) and mask (H, W) together; bilinear, the mask thresholded at half.

    They are warped as four channels, a gray image with its mask three times: OpenCV needs half the time of three
    channels, and little more than that of one.
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
    array = np.array(matrix).reshape(3, 3)
    if is_affine(matrix):
        return np.asarray(cv2.warpAffine(pixels, array[:2], size, out, flags=how, borderMode=BORDERS[border]), np.uint8)
    return np.asarray(cv2.warpPerspective(pixels, array, size, out, flags=how, borderMode=BORDERS[border]), np.uint8)


def _flipped(pixels: NDArray[np.uint8], code: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.flip(pixels, code), np.uint8).reshape(pixels.shape)


def _binary(gray: NDArray[np.uint8]) -> Mask:
    return gray >= HALF
