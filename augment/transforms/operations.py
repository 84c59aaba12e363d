"""The 3 x 3 matrix of every move of the camera, from pixel centres of the picture to pixel centres of the result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Row by row. Plain numbers: for nine of them NumPy takes longer to call than to reckon.
Matrix = tuple[float, float, float, float, float, float, float, float, float]

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def as_array(matrix: Matrix) -> NDArray[np.float64]:
    """(3, 3)."""
    return np.array(matrix).reshape(3, 3)


def after(second: Matrix, first: Matrix) -> Matrix:
    """The matrix that does what `first` and then `second` does: their product.

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
    """The matrix of a drawn move.

    Args:
        name: a transform of the family `camera`.
        values: as drawn.
        height: of the picture, px.
        width: of the picture, px.
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
        # whole pixels, so that the crop can be cut first; then pixel areas, not centres, are stretched
        across, down = max(1, round(values["keep"] * width)), max(1, round(values["keep"] * height))
        a, d = width / across, height / down
        left, top = (width - across) // 2, (height - down) // 2
        return _matrix(a, 0.0, (0.5 - left) * a - 0.5, 0.0, d, (0.5 - top) * d - 0.5)
    raise ValueError(f"expected a transform that moves pixels, got {name}")


def flips_of(matrix: Matrix, height: int, width: int) -> tuple[bool, bool] | None:
    """(left and right, top and bottom) where a matrix does nothing but flip, else None."""
    a, b, c, d, e, f, g, h, _ = matrix
    if b or d or g or h or abs(a) != 1.0 or abs(e) != 1.0:
        return None
    if c != (width - 1 if a < 0 else 0) or f != (height - 1 if e < 0 else 0):
        return None
    return a < 0, e < 0


def is_affine(matrix: Matrix) -> bool:
    """Whether parallels stay parallel."""
    return matrix[6] == 0.0 and matrix[7] == 0.0


def _matrix(a: float, b: float, c: float, d: float, e: float, f: float) -> Matrix:
    return a, b, c, d, e, f, 0.0, 0.0, 1.0


def _about(x: float, y: float, a: float, b: float, d: float, e: float) -> Matrix:
    """A linear map that leaves (x, y) where it is."""
    return _matrix(a, b, x - a * x - b * y, d, e, y - d * x - e * y)


def _perspective(corner: tuple[float, ...], height: int, width: int) -> Matrix:
    x, y = width - 1.0, height - 1.0
    corners = np.array(((0, 0), (x, 0), (x, y), (0, y)), np.float32)
    moved = corners + np.array(corner, np.float32).reshape(4, 2) * (width, height)
    a, b, c, d, e, f, g, h, i = cv2.getPerspectiveTransform(corners, moved.astype(np.float32)).ravel().tolist()
    return a, b, c, d, e, f, g, h, i


Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # left, top, width, height, px
Partner = tuple[NDArray[np.uint8], Mask]


@dataclass(frozen=True)
class Warp:
    """Moves that follow one another, as one matrix; `flips` where they only flip."""

    matrix: Matrix
    flips: tuple[bool, bool] | None


@dataclass(frozen=True)
class Light:
    """A transform of grey levels with its drawn values."""

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
    """Another picture, by its place among the partners, with its weight."""

    partner: int
    weight: float


Operation = Warp | Light | Erase | Mix


@dataclass(frozen=True)
class Plan:
    """What is done to one image.

    Attributes:
        operations: one for each slot of the pipeline, None where nothing is done.
        applied: names in order; one that was passed over as `name:skipped`.
        keep: the label must not end up empty.
    """

    operations: tuple[Operation | None, ...]
    applied: list[str]
    keep: bool
