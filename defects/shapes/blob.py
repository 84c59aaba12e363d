"""Blob defects: irregular pits in clusters, small elliptic spots."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from defects.shapes.stroke import Floats, fill

_CORNERS = 48


@dataclass(frozen=True)
class Blob:
    """A closed outline: `centre` (2,) and `offsets` (N, 2) from it, in pixels."""

    centre: Floats
    offsets: Floats

    def scaled_width(self, factor: float) -> Blob:
        """The same blob at the same place, `factor` times as large."""
        return Blob(self.centre, self.offsets * factor)

    def paint(self, canvas: npt.NDArray[np.uint8]) -> None:
        """Paint it on a canvas made by `canvas_for`."""
        fill(canvas, self.centre + self.offsets)


def outline(
    centre: Floats, diameter: float, stretch: float, orientation: float, ragged: float, rng: np.random.Generator
) -> Blob:
    """A closed outline around `centre`: an ellipse with its radius disturbed by a few low harmonics.

    Args:
        centre: (2,) x, y in pixels.
        diameter: Minor diameter in pixels.
        stretch: Major over minor diameter, 1 for a disc.
        orientation: Degrees from the horizontal, counter-clockwise as seen.
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
    return Blob(centre, np.stack([x, y], axis=1))


def pits(
    centre: tuple[float, float], length: float, width: float, orientation: float, rng: np.random.Generator
) -> list[Blob]:
    """A cluster of pits.

    Args:
        centre: x, y of the cluster, pixels.
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
        at, tilt = np.asarray((centre[0] + x, centre[1] + y)), orientation + rng.uniform(-40, 40)
        found.append(outline(at, float(size), rng.uniform(1.0, 1.5), tilt, 0.16, rng))
    return found


def spots(
    centre: tuple[float, float], length: float, width: float, orientation: float, rng: np.random.Generator
) -> list[Blob]:
    """One elliptic spot of minor diameter `width` and major diameter `length` (pixels, at least `width`)."""
    return [outline(np.asarray(centre), width, max(1.0, length / width), orientation, 0.03, rng)]
