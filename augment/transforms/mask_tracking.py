"""Following the defect through a plan: how much of it is still in the picture, and where."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.transforms.config import Border
from augment.transforms.geometry import warp_mask
from augment.transforms.operations import IDENTITY, Box, Mask, Matrix, Warp, flips_of, is_affine

_MOST = 4096  # pixels of a defect that are followed; a larger one is followed on every n-th

Points = NDArray[np.float64]
Corners = tuple[tuple[float, float], ...]


class Defect:
    """The pixels of a mask, followed through moves and erasing.

    Moves are collected as one matrix and carried out by `settle`, since only what follows on them sees the result: what
    one move takes out of the picture and the next brings back is not lost.
    """

    def __init__(self, mask: Mask, least: float, border: Border) -> None:
        self.matrix = IDENTITY
        self._mask = mask
        self._least = least
        self._border: Border = border
        self._points: Points | None = None
        self._count = 0
        self._found: Corners | None = None if least else ()

    def survives(self, matrix: Matrix) -> bool:
        """Whether enough of the defect would stay in the picture under all moves so far, given as one matrix."""
        if not self._corners or self._whole(matrix):
            return True
        points = self._followed()
        return bool(inside(points, matrix, self._mask.shape).sum() >= self._least * self._count)

    def survives_box(self, box: Box) -> bool:
        """Whether enough would stay uncovered by a box; after `settle`."""
        if not self._corners:
            return True
        points = self._followed()
        return bool((~within(points, box)).sum() >= self._least * self._count)

    def settle(self) -> Mask:
        """Carries the moves out and returns the mask as it is then."""
        if self.matrix is not IDENTITY:
            if self._corners:
                points = self._followed()
                self._points = moved_points(points[:, inside(points, self.matrix, self._mask.shape)], self.matrix)
            move = Warp(self.matrix, flips_of(self.matrix, *self._mask.shape))
            self._mask, self.matrix = warp_mask(self._mask, move, self._border), IDENTITY
        return self._mask

    def cover(self, box: Box) -> None:
        """The defect under the box is gone; after `settle`."""
        if self._corners:
            points = self._followed()
            self._points = points[:, ~within(points, box)]
        left, top, width, height = box
        self._mask = self._mask.copy()
        self._mask[top : top + height, left : left + width] = False

    def join(self, mask: Mask) -> None:
        """Another picture's defects are there too, and all are followed from here; after `settle`."""
        self._mask = self._mask | mask
        self._points, self._found = None, None if self._least else ()

    @property
    def _corners(self) -> Corners:
        """Corners (x, y) of the defect's box as given; none where there is no defect, or none need be kept."""
        if self._found is None:
            self._found = _corners(self._mask)
        return self._found

    def _followed(self) -> Points:
        if self._points is None:
            ys, xs = np.nonzero(self._mask)
            stride = -(-len(xs) // _MOST) or 1
            self._points = np.stack((xs[::stride], ys[::stride])).astype(np.float64)
            self._count = self._points.shape[1]
        return self._points

    def _whole(self, matrix: Matrix) -> bool:
        """Whether the corners of the untouched defect's box stay in the picture, and so all of it."""
        if self._points is not None and self._points.shape[1] < self._count:
            return False
        corners = self._corners if self._points is None else _corners_of(self._points)
        a, b, c, d, e, f, g, h, i = matrix
        right, bottom = self._mask.shape[1] - 0.5, self._mask.shape[0] - 0.5
        for x, y in corners:
            w = g * x + h * y + i
            if w <= 0 or not (-0.5 * w <= a * x + b * y + c <= right * w):
                return False
            if not (-0.5 * w <= d * x + e * y + f <= bottom * w):
                return False
        return True


def moved_points(points: Points, matrix: Matrix) -> Points:
    """Points (2, N), rows x and y, px, under a matrix."""
    x, y = points
    a, b, c, d, e, f, g, h, i = matrix
    moved = np.stack((a * x + b * y + c, d * x + e * y + f))
    return moved if is_affine(matrix) else np.asarray(moved / (g * x + h * y + i))


def inside(points: Points, matrix: Matrix, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which points a matrix leaves in a picture of shape (H, W)."""
    x, y = moved_points(points, matrix)
    return np.asarray((x >= -0.5) & (x <= shape[1] - 0.5) & (y >= -0.5) & (y <= shape[0] - 0.5))


def within(points: Points, box: Box) -> NDArray[np.bool_]:
    """Which points lie under a box."""
    x, y = np.rint(points)
    left, top, width, height = box
    return np.asarray((x >= left) & (x < left + width) & (y >= top) & (y < top + height))


def _corners(mask: Mask) -> Corners:
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return ()
    right, bottom = left + width - 1, top + height - 1
    return (left, top), (right, top), (left, bottom), (right, bottom)


def _corners_of(points: Points) -> Corners:
    (left, top), (right, bottom) = points.min(1).tolist(), points.max(1).tolist()
    return (left, top), (right, top), (left, bottom), (right, bottom)
