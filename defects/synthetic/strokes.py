"""Strokes: polylines of varying width, filled at a multiple of the image size and thresholded by pixel coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

SUPERSAMPLE = 4
# A line one pixel wide that straddles two pixel rows covers half of each; a threshold just below keeps it whole.
COVERAGE = 0.42
THINNEST = 1.0
_SHIFT = 4


@dataclass(frozen=True)
class Stroke:
    """A center line with a width at each of its points.

    Attributes:
        points: (N, 2) x, y in pixels.
        widths: (N,) in pixels.
    """

    points: Floats
    widths: Floats

    @property
    def length(self) -> float:
        """Length of the center line in pixels."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())

    def scaled_width(self, factor: float) -> Stroke:
        """The same line, every width multiplied by `factor`."""
        return Stroke(self.points, self.widths * factor)

    def render(self, canvas: npt.NDArray[np.uint8]) -> None:
        """Paint it: one quadrilateral a segment, with a disc at every joint so that sharp turns leave no gap."""
        points, radii = self.points, np.maximum(self.widths, THINNEST) / 2
        along = np.diff(points, axis=0)
        steps = np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
        normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / steps
        start, end = normal * radii[:-1, None], normal * radii[1:, None]
        quads = np.stack([points[:-1] + start, points[1:] + end, points[1:] - end, points[:-1] - start], axis=1)
        for quad in fixed_point(quads):
            cv2.fillConvexPoly(canvas, quad, 255, lineType=cv2.LINE_8, shift=_SHIFT)
        scale = SUPERSAMPLE * (1 << _SHIFT)
        for (x, y), radius in zip(fixed_point(points).tolist(), (radii * scale).astype(int).tolist(), strict=True):
            cv2.circle(canvas, (x, y), radius, 255, -1, lineType=cv2.LINE_8, shift=_SHIFT)


def mean_width(strokes: Sequence[Stroke]) -> float:
    """Mean width in pixels over the length of all strokes (the width a skeleton would meet)."""
    total, weight = 0.0, 0.0
    for stroke in strokes:
        steps = np.linalg.norm(np.diff(stroke.points, axis=0), axis=1)
        total += float((steps * (stroke.widths[1:] + stroke.widths[:-1]) / 2).sum())
        weight += float(steps.sum())
    return total / weight if weight else 0.0


def canvas_for(size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """An empty canvas `SUPERSAMPLE` times the requested (height, width)."""
    return np.zeros((size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE), np.uint8)


def fixed_point(points: Floats) -> npt.NDArray[np.int32]:
    """Pixel coordinates as the canvas' fixed-point integers (pixel centers lie at .5)."""
    return np.asarray(np.round((points * SUPERSAMPLE - 0.5) * (1 << _SHIFT)), np.int32)


def fill(canvas: npt.NDArray[np.uint8], points: Floats) -> None:
    """Fill a polygon (N, 2) given in image pixels."""
    cv2.fillPoly(canvas, [fixed_point(points)], 255, lineType=cv2.LINE_8, shift=_SHIFT)


def threshold(canvas: npt.NDArray[np.uint8]) -> Mask:
    """Bring a canvas to image size; a pixel is set when about half of it is covered."""
    height, width = canvas.shape[0] // SUPERSAMPLE, canvas.shape[1] // SUPERSAMPLE
    coverage = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(coverage >= COVERAGE * 255)
