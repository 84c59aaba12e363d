"""Shapes of defects on a canvas: irregular pits, elliptic spots, cracks that wander and branch, scratches."""

from __future__ import annotations

import math
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


_CORNERS = 48


@dataclass(frozen=True)
class Blob:
    """A closed outline: `center` (2,) and `offsets` (N, 2) from it, in pixels."""

    center: Floats
    offsets: Floats

    def scaled_width(self, factor: float) -> Blob:
        """The same blob at the same place, `factor` times as large."""
        return Blob(self.center, self.offsets * factor)

    def render(self, canvas: npt.NDArray[np.uint8]) -> None:
        """Renders it on a canvas of `canvas_for`."""
        fill(canvas, self.center + self.offsets)


def outline(
    center: Floats, diameter: float, stretch: float, orientation: float, ragged: float, rng: np.random.Generator
) -> Blob:
    """A closed outline around `center`: an ellipse with its radius disturbed by a few low harmonics.

    Args:
        center: (2,) x, y in pixels.
        diameter: Minor diameter in pixels.
        stretch: Major over minor diameter, 1 for a disc.
        orientation: Degrees from the horizontal, counter-clockwise in the image.
        ragged: Deviation of the radius relative to it, 0 for a true ellipse.
        rng: Source of randomness.
    """
    angles = np.linspace(0, 2 * math.pi, _CORNERS, endpoint=False)
    radius = np.ones(_CORNERS)
    for harmonic in range(2, 8):
        strength = ragged * rng.standard_normal() / (harmonic - 0.5)
        radius += strength * np.cos(harmonic * angles + rng.uniform(0, 2 * math.pi))
    radius = np.clip(radius, 0.45, 1.8) * diameter / 2
    along, across = radius * np.cos(angles) * stretch, radius * np.sin(angles)
    turn = -math.radians(orientation)
    x = along * math.cos(turn) - across * math.sin(turn)
    y = along * math.sin(turn) + across * math.cos(turn)
    return Blob(center, np.stack([x, y], axis=1))


def pits(
    center: tuple[float, float], length: float, width: float, orientation: float, rng: np.random.Generator
) -> list[Blob]:
    """A cluster of pits.

    Args:
        center: x, y of the cluster, pixels.
        length: Extent of the cluster, pixels; no longer than 1.5 widths gives a single pit.
        width: Mean width of a pit, pixels.
        orientation: Degrees, the direction in which cluster and pits are stretched.
        rng: Source of randomness.
    """
    spread = max(0.0, length - width) / 2
    count = 1 if spread < width / 4 else 1 + int(rng.integers(1, 3 + round(min(4.0, spread / width))))
    sizes = np.exp(0.3 * rng.standard_normal(count))
    sizes *= width / sizes.mean()
    turn = -math.radians(orientation)
    found: list[Blob] = []
    for index, size in enumerate(sizes):
        angle, far = rng.uniform(0, 2 * math.pi), (math.sqrt(rng.random()) * spread if index else 0.0)
        along, across = far * math.cos(angle), 0.55 * far * math.sin(angle)
        x, y = along * math.cos(turn) - across * math.sin(turn), along * math.sin(turn) + across * math.cos(turn)
        at, tilt = np.asarray((center[0] + x, center[1] + y)), orientation + rng.uniform(-40, 40)
        found.append(outline(at, float(size), rng.uniform(1.0, 1.5), tilt, 0.16, rng))
    return found


def spots(
    center: tuple[float, float], length: float, width: float, orientation: float, rng: np.random.Generator
) -> list[Blob]:
    """One elliptic spot of minor diameter `width` and major diameter `length` (pixels, at least `width`)."""
    return [outline(np.asarray(center), width, max(1.0, length / width), orientation, 0.03, rng)]


STEP = 1.5
MAX_BRANCH_DEPTH = 2


def smooth_noise(count: int, correlation: float, rng: np.random.Generator) -> Floats:
    """(count,) noise of mean 0 and deviation 1, smooth over about `correlation` steps."""
    radius = max(1, int(3 * correlation))
    white = rng.standard_normal(count + 2 * radius)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(correlation, 0.3)) ** 2)
    kernel /= math.sqrt(float((kernel**2).sum()))
    return np.asarray(np.convolve(white, kernel, mode="valid"), np.float64)


def walk(start: Floats, headings: Floats, step: float) -> Floats:
    """Points (N + 1, 2) of a walk from `start`, one `step` (px) along each of N headings (radians, y down)."""
    moves = step * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return np.concatenate([start[None], start + np.cumsum(moves, axis=0)])


def taper(count: int, blunt: float) -> Floats:
    """(count,) width profile: 1 in the middle, near 0 at both ends; `blunt` < 1 keeps it wide for longer."""
    return np.asarray(np.sin(np.linspace(0.04, 0.97, count) * math.pi) ** blunt, np.float64)


def crack(
    center: tuple[float, float], length: float, width: float, orientation: float, rng: np.random.Generator
) -> list[Stroke]:
    """A crack as strokes: a jagged main line and its branches.

    The line is a walk whose heading has a slow drift (the crack follows the stress) and a fast part (it goes from
    grain to grain). Branches leave at 20 to 55 degrees, thinner than their parent, and may branch once more.

    Args:
        center: x, y of the middle of the main line, pixels.
        length: Length of the main line, pixels.
        width: Mean width over all strokes, pixels.
        orientation: Degrees from the horizontal, counter-clockwise in the image.
        rng: Source of randomness.
    """
    count = max(6, round(length / STEP))
    # The outline cannot follow a turn sharper than the crack is wide: it would grow knobs.
    turn, swell = max(1.2, 0.35 * width / STEP), max(4.0, 1.3 * width / STEP)
    wander, jag = rng.uniform(0.12, 0.38), rng.uniform(0.15, 0.45)
    drift = smooth_noise(count, count / 5, rng) * wander
    headings = -math.radians(orientation) + drift - drift.mean() + smooth_noise(count, turn, rng) * jag
    points = walk(np.zeros(2), headings, length / count)
    points += np.asarray(center) - points[[0, count // 2, -1]].mean(axis=0)
    uneven = np.clip(1 + 0.22 * smooth_noise(count + 1, swell, rng), 0.5, 1.6)
    main = Stroke(points, width * taper(count + 1, rng.uniform(0.35, 0.7)) * uneven)
    strokes = [main]
    # A short, wide crack has no room for branches: they would only merge into a lump.
    room = min(1.0, length / (12 * width))
    expected = room * rng.choice([0.0, 1.5, 3.0], p=[0.3, 0.4, 0.3])
    _branch(main, headings, length, strokes, rng, depth=1, expected=expected)
    factor = width / max(mean_width(strokes), 1e-9)
    return [stroke.scaled_width(factor) for stroke in strokes]


def _branch(
    parent: Stroke,
    headings: Floats,
    length: float,
    strokes: list[Stroke],
    rng: np.random.Generator,
    *,
    depth: int,
    expected: float,
) -> None:
    """Add branches of `parent` to `strokes`, `expected` of them on average."""
    count = len(headings)
    side = rng.choice([-1.0, 1.0])
    for _ in range(int(rng.poisson(expected)) if expected else 0):
        at = int(rng.uniform(0.15, 0.8) * count)
        own_length = length * rng.uniform(0.18, 0.45)
        own_count = max(4, round(own_length / STEP))
        side = -side if rng.random() < 0.7 else side
        thick = parent.widths[at] / STEP
        radius = 3 + int(thick / 2)
        angle = headings[max(0, at - radius) : at + radius].mean() + side * math.radians(rng.uniform(20, 55))
        # A branch turns back towards the direction of its parent.
        bend = -side * np.linspace(0, math.radians(rng.uniform(0, 25)), own_count)
        own = angle + bend + smooth_noise(own_count, max(1.2, thick / 3), rng) * 0.35
        points = walk(parent.points[at], own, own_length / own_count)
        fade = 0.7 * parent.widths[at] * np.linspace(1.0, 0.1, own_count + 1) ** 0.7
        branch = Stroke(points, fade * np.clip(1 + 0.2 * smooth_noise(own_count + 1, max(3.0, thick), rng), 0.5, 1.5))
        strokes.append(branch)
        if depth < MAX_BRANCH_DEPTH:
            _branch(branch, own, own_length, strokes, rng, depth=depth + 1, expected=0.4)


def scratch(
    center: tuple[float, float], length: float, width: float, orientation: float, rng: np.random.Generator
) -> list[Stroke]:
    """A scratch: one long, slightly curved stroke of nearly constant width; the arguments are those of `crack`."""
    count = max(6, round(length / STEP))
    bow = math.radians(rng.uniform(-13, 13))
    headings = -math.radians(orientation) + np.linspace(-bow, bow, count) + smooth_noise(count, 12, rng) * 0.015
    points = walk(np.zeros(2), headings, length / count)
    points += np.asarray(center) - points.mean(axis=0)
    # A tool bites and lifts off slowly at one end.
    profile = np.clip(np.linspace(0, rng.uniform(4, 10), count + 1), 0.25, 1) * taper(count + 1, 0.2)
    profile *= np.clip(1 + 0.08 * smooth_noise(count + 1, 5, rng), 0.7, 1.3)
    stroke = Stroke(points if rng.random() < 0.5 else points[::-1].copy(), profile)
    return [stroke.scaled_width(width / max(mean_width([stroke]), 1e-9))]
