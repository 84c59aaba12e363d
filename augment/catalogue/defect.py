"""Following the defect through a plan: how much of it is still in the picture, and where."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augment.catalogue.config import Border
from augment.catalogue.matrices import IDENTITY, Matrix, flips_of
from augment.catalogue.operations import Mask, Warp
from augment.catalogue.warping import warp_mask

__all__ = ["Defect", "moved_points"]

_MOST = 4096  # pixels of a defect that are followed; a larger one is followed on every n-th


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
        self._points: NDArray[np.float64] | None = None
        self._box: tuple[tuple[float, float], ...] = ()
        self._count = 0

    def survives(self, matrix: Matrix) -> bool:
        """Whether enough of the defect would stay in the picture under all moves so far, given as one matrix."""
        if self._least == 0.0:
            return True
        points = self._followed()
        if self._count == 0:
            return True
        if len(points) == self._count and self._whole(matrix):
            return True
        return bool(_inside(points, matrix, self._mask.shape).sum() >= self._least * self._count)

    def _whole(self, matrix: Matrix) -> bool:
        """Whether the corners of the defect's box stay in the picture, and so all of it: what decides most cases."""
        if not self._box:
            left, top = self._followed().min(0).tolist()
            right, bottom = self._followed().max(0).tolist()
            self._box = ((left, top), (right, top), (left, bottom), (right, bottom))
        (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
        right, bottom = self._mask.shape[1] - 0.5, self._mask.shape[0] - 0.5
        for x, y in self._box:
            w = g * x + h * y + i
            if w <= 0 or not (
                -0.5 * w <= a * x + b * y + c <= right * w and -0.5 * w <= d * x + e * y + f <= bottom * w
            ):
                return False
        return True

    def survives_box(self, box: tuple[int, int, int, int]) -> bool:
        """Whether enough would stay uncovered by a box (left, top, width, height); after `settle`."""
        if self._least == 0.0:
            return True
        points = self._followed()
        return self._count == 0 or bool((~_within(points, box)).sum() >= self._least * self._count)

    def settle(self) -> Mask:
        """Carries the moves out and returns the mask as it is then."""
        if self.matrix is not IDENTITY:
            points = self._followed()
            if len(points):
                self._points = moved_points(points[_inside(points, self.matrix, self._mask.shape)], self.matrix)
                self._box = ()
            move = Warp(self.matrix, flips_of(self.matrix, *self._mask.shape))
            self._mask, self.matrix = warp_mask(self._mask, move, self._border), IDENTITY
        return self._mask

    def cover(self, box: tuple[int, int, int, int]) -> None:
        """The defect under the box is gone; after `settle`."""
        points = self._followed()
        self._points, self._box = points[~_within(points, box)], ()
        left, top, width, height = box
        self._mask = self._mask.copy()
        self._mask[top : top + height, left : left + width] = False

    def join(self, mask: Mask) -> None:
        """Another picture's defects are there too, and are followed from here; after `settle`."""
        self._mask = self._mask | mask
        self._points, self._count, self._box = None, 0, ()

    def _followed(self) -> NDArray[np.float64]:
        if self._points is None:
            ys, xs = np.nonzero(self._mask)
            stride = -(-len(xs) // _MOST) or 1
            self._points = np.stack((xs[::stride], ys[::stride]), 1).astype(np.float64)
            self._count = len(self._points)
        return self._points


def moved_points(points: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Points (N, 2) as (x, y), px, under a matrix."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(moved[:, :2] / moved[:, 2:])


def _inside(points: NDArray[np.float64], matrix: Matrix, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    x, y = moved_points(points, matrix).T
    return np.asarray((x >= -0.5) & (x <= shape[1] - 0.5) & (y >= -0.5) & (y <= shape[0] - 0.5))


def _within(points: NDArray[np.float64], box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    x, y = np.rint(points).T
    left, top, width, height = box
    return np.asarray((x >= left) & (x < left + width) & (y >= top) & (y < top + height))
