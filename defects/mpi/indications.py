"""What glows without being a defect: particle speckle, smudges, dots and non-crack lines."""

from __future__ import annotations

import math

import cv2
import numpy as np

from defects.mpi.fields import Plane, blur, field
from defects.mpi.materials import Material


def speckle(shape: tuple[int, int], material: Material, lines: Plane, rng: np.random.Generator) -> Plane:
    """Emission (height, width) of single particles left on the surface; they collect in the machining lines."""
    scale = min(shape) / 128
    count = int(rng.poisson(material.speckle * 128 * 128 / 1000 * rng.uniform(0.5, 1.6)))
    emission = np.zeros(shape, np.float32)
    # The band at the right edge is no part of the shank: no particles there.
    y, x = rng.integers(0, shape[0], count), rng.integers(0, int(0.9 * shape[1]), count)
    strength = rng.exponential(0.16, count).astype(np.float32) * (1 + 0.5 * np.tanh(-lines[y, x]))
    np.add.at(emission, (y, x), strength * scale**1.5)
    sharp = blur(emission, 0.55 * scale**0.7)
    # Fluid that was not rinsed off veils the surface.
    veil = rng.uniform(0.0, 0.035) * np.clip(1 + 0.6 * field(shape, 26 * scale, 20 * scale, rng), 0, None)
    veil[:, int(0.92 * shape[1]) :] = 0
    return np.asarray(1.3 * sharp + 0.8 * blur(emission, 1.3 * scale) + veil, np.float32)


def false_indications(shape: tuple[int, int], count: int, rng: np.random.Generator) -> Plane:
    """Emission (height, width) of `count` smudges, groups of dots or soft lines."""
    emission = np.zeros(shape, np.float32)
    for _ in range(count):
        maker = (_smudge, _dots, _dots, _line)[int(rng.integers(0, 4))]
        emission += maker(shape, rng)
    return emission


def _place(shape: tuple[int, int], rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(0.05, 0.86) * shape[1]), float(rng.uniform(0.05, 0.95) * shape[0])


def _smudge(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """A wiped patch of fluid: a soft, uneven cloud without a core."""
    scale = min(shape) / 128
    plane = np.zeros(shape, np.float32)
    x, y = _place(shape, rng)
    axes = (int(rng.uniform(5, 20) * scale) + 1, int(rng.uniform(2, 7) * scale) + 1)
    cv2.ellipse(plane, (int(x), int(y)), axes, rng.uniform(-35, 35), 0, 360, 1.0, -1)
    soft = blur(plane, rng.uniform(2.5, 5.5) * scale)
    uneven = np.clip(0.75 + 0.4 * field(shape, 1.6 * scale, 3.0 * scale, rng), 0.1, 2)
    return np.asarray(rng.uniform(0.07, 0.22) * soft * uneven, np.float32)


def _dots(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """A few clots of particles."""
    scale = min(shape) / 128
    plane = np.zeros(shape, np.float32)
    x, y = _place(shape, rng)
    spread = rng.uniform(2, 14) * scale
    for _ in range(int(rng.integers(1, 6))):
        at = (round((x + rng.normal(0, spread)) * 16), round((y + rng.normal(0, spread)) * 16))
        radius = rng.uniform(0.4, 1.5) * scale
        cv2.circle(plane, at, round(radius * 16), rng.uniform(0.15, 0.75), -1, lineType=cv2.LINE_AA, shift=4)
    return np.asarray(blur(plane, 0.6 * scale) + 0.5 * blur(plane, 2.0 * scale), np.float32)


def _line(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """A tool mark or a change of section that holds some fluid: straight, wide, faint, broken; not a crack."""
    scale = min(shape) / 128
    plane = np.zeros(shape, np.float32)
    x, y = _place(shape, rng)
    angle = math.radians(float(rng.choice([0.0, 0.0, 90.0])) + rng.normal(0, 3))
    reach = rng.uniform(15, 45) * scale
    dx, dy = reach * math.cos(angle), reach * math.sin(angle)
    ends = [(round((x + sign * dx) * 16), round((y + sign * dy) * 16)) for sign in (-1, 1)]
    cv2.line(plane, ends[0], ends[1], 1.0, max(1, round(rng.uniform(1, 2.5) * scale)), lineType=cv2.LINE_AA, shift=4)
    soft = blur(plane, rng.uniform(1.3, 2.4) * scale)
    broken = np.clip(0.5 + 0.7 * field(shape, 5 * scale, 5 * scale, rng), 0, 1.6)
    plane = np.asarray(rng.uniform(0.14, 0.34) * soft * broken, np.float32)
    plane[:, int(0.92 * shape[1]) :] = 0
    return plane
