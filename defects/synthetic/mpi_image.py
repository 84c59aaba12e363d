"""One procedural magnetic-particle image: surface, false indications, and a defect of known guide values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from defects.attributes import appearance
from defects.attributes.appearance import ring_in_box, ring_radius
from defects.masks.width import Mask, set_width, width
from defects.synthetic.mpi_surface import (
    BACKGROUNDS,
    BAND_START,
    MATERIALS,
    Material,
    Pixels,
    Plane,
    blur,
    field,
    rough,
    surface,
)

# Fluorescence peaks near 550 nm: green first, red close behind, hardly any blue. A strong glow overexposes green, then
# red, and so turns from green to yellow-green to pale yellow, as on a camera.
COLOR = np.asarray((0.60, 1.0, 0.13), np.float32)
_LUMA = np.asarray((0.299, 0.587, 0.114), np.float32)
# Luminance of the glow over its surroundings at brightness 0 and 1.
FAINTEST, STRONGEST = 0.07, 0.52
_STEPS = 12
_CLOSE = 5e-4
_MOST = 24.0


def spread(mask: Mask, thickness: float, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Core and halo of the emission, each (height, width), about 1 inside the mask for the core.

    Args:
        mask: (height, width), the true mask.
        thickness: Its mean local width, px.
        rng: Source of randomness: particles bead along a crack, so its glow is uneven.
    """
    shape = mask.shape
    scale = min(shape) / 128
    inside = mask.astype(np.float32)
    bead = 1 + 0.22 * field(shape, 4.5 * scale, 4.5 * scale, rng) + 0.22 * rough(shape, 0.7, 0.7, rng)
    uneven = inside * np.clip(bead, 0.35, 1.8)
    edge = 0.55 * scale**0.6
    ridge = blur(uneven, max(0.6, 0.28 * thickness))
    # The leakage field is strongest over the crack's middle: the core is hotter there than at its edges.
    core = np.asarray(blur(uneven, edge) * (0.30 + 0.95 * ridge**2), np.float32)
    # Stray particles next to the crack.
    near = blur(inside, 1.1 * scale)
    stray = (rng.random(shape, dtype=np.float32) < 0.10) & (near > 0.04) & ~mask
    core += 0.45 * blur(stray.astype(np.float32) * near, 0.5)
    halo = blur(uneven, 1.8 * scale + 0.15 * thickness) + 1.1 * blur(uneven, 6.0 * scale)
    return core, np.asarray(halo, np.float32)


def expose(image: Pixels, emission: Plane) -> Pixels:
    """Add emission to an image the way a sensor does: each channel saturates towards 1."""
    left = np.exp(-emission[..., None] * COLOR)
    return np.asarray(1 - (1 - image) * left, np.float32)


def contrast_of(brightness: float) -> float:
    """Luminance of the glow over its surroundings, 0..1, for a brightness in 0..1."""
    return FAINTEST + (STRONGEST - FAINTEST) * brightness


def emission_for(image: Pixels, mask: Mask, thickness: float, brightness: float, rng: np.random.Generator) -> Plane:
    """The emission (height, width) with which the mask's mean luminance exceeds its ring's by what `brightness` says.

    The core's strength is sought on the pixels of mask and ring alone. The halo follows the brightness
    directly: if it grew with the core, a thin crack would light its surroundings as fast as itself.
    """
    core, halo = spread(mask, thickness, rng)
    target = contrast_of(brightness)
    halo = halo * np.float32(0.02 + 0.5 * target + 0.9 * target**2)
    around = _ring(mask)
    base_in, base_out = image[mask], image[around]
    core_in, core_out, halo_in, halo_out = core[mask], core[around], halo[mask], halo[around]

    def contrast(strength: float) -> float:
        inside = _luminance(base_in, strength * core_in + halo_in)
        outside = _luminance(base_out, strength * core_out + halo_out) if around.any() else 0.0
        return inside - outside

    strength = _strength(lambda strength: contrast(strength) - target)
    return np.asarray(core * np.float32(strength) + halo, np.float32)


def _strength(excess: Callable[[float], float]) -> float:
    """The strength at which a rising, saturating `excess` is 0 (bisection on a logarithmic scale with secant steps)."""
    low, high = 0.0, _MOST
    below, above = excess(low), excess(high)
    if below >= 0 or above <= 0:
        return low if below >= 0 else high
    strength = 1.0
    for _ in range(_STEPS):
        now = excess(strength)
        if abs(now) < _CLOSE:
            break
        if now < 0:
            low, below = strength, now
        else:
            high, above = strength, now
        secant = low - below * (high - low) / (above - below)
        # On a saturating curve the secant falls short from far away; the geometric mean catches up.
        strength = secant if high < 2 * max(low, 1e-3) else max(secant, (max(low, 0.02) * high) ** 0.5)
        strength = strength if low < strength < high else (low + high) / 2
    return strength


def _luminance(base: npt.NDArray[np.float32], emission: npt.NDArray[np.float32]) -> float:
    left = np.exp(-emission[:, None] * COLOR)
    return float((np.minimum(1 - (1 - base) * left, 1.0) @ _LUMA).mean())


def _ring(mask: Mask) -> Mask:
    """The surroundings that `appearance.brightness` compares with, worked out on the mask's box only."""
    around = np.zeros_like(mask)
    if mask.any():
        cut, around_it = ring_in_box(mask, ring_radius(max(mask.shape)))
        around[cut] = around_it
    return around


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
    radius = rng.uniform(15, 45) * scale
    dx, dy = radius * math.cos(angle), radius * math.sin(angle)
    ends = [(round((x + sign * dx) * 16), round((y + sign * dy) * 16)) for sign in (-1, 1)]
    cv2.line(plane, ends[0], ends[1], 1.0, max(1, round(rng.uniform(1, 2.5) * scale)), lineType=cv2.LINE_AA, shift=4)
    soft = blur(plane, rng.uniform(1.3, 2.4) * scale)
    broken = np.clip(0.5 + 0.7 * field(shape, 5 * scale, 5 * scale, rng), 0, 1.6)
    plane = np.asarray(rng.uniform(0.14, 0.34) * soft * broken, np.float32)
    plane[:, int(0.92 * shape[1]) :] = 0
    return plane


# A mask this close to the requested width (relative) is left as it is.
_WIDTH_TOLERANCE = 0.05
_SENSOR_NOISE = 0.012


@dataclass(frozen=True)
class MpiImage:
    """An image and all that is true of it.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        mask: (height, width) bool, where the defect is; empty on a good part.
        guide: Raw guide values measured on this very image: `thickness` (px, mean local width of `mask`),
            `brightness` (luminance inside the mask minus that around it, -1..1) and `background`; on a good part
            only `background`.
    """

    image: npt.NDArray[np.uint8]
    mask: Mask
    guide: dict[str, float | str]


def render(
    mask: Mask,
    *,
    thickness: float | None = None,
    brightness: float = 0.5,
    background: str = "dark",
    seed: int = 0,
    part: int | None = None,
    indications: int | None = None,
) -> MpiImage:
    """Render an image: a shank photographed line by line under ultraviolet light, with fluorescent particles.

    Args:
        mask: (height, width) bool, the defect's shape and place; empty for a good part.
        thickness: Mean local width in px that the mask is set to; None leaves it.
        brightness: 0..1; the luminance of the glow over its surroundings rises linearly with it.
        background: One of `BACKGROUNDS`.
        seed: Of everything that differs between two scans of one part.
        part: Seed of the part: its texture and lamp; None takes `seed`.
        indications: Number of false indications; None draws 0 to 5, more on good parts.

    Raises:
        ValueError: If a value is out of its range.
    """
    _check(mask, thickness, brightness, background)
    scan = np.random.default_rng([seed, 1])
    body = np.random.default_rng([seed if part is None else part, 2])
    material = MATERIALS[background]
    image, lines = surface((mask.shape[0], mask.shape[1]), material, body, scan)
    faulty = bool(mask.any())
    if indications is None:
        indications = int(scan.integers(0, 3) if faulty else scan.integers(1, 6))
    stray = speckle(mask.shape, material, lines, scan) + false_indications(mask.shape, indications, scan)
    image = expose(image, stray)
    true = _visible(mask)
    if faulty:
        if thickness is not None and abs(width(true) - thickness) > _WIDTH_TOLERANCE * thickness:
            true = _visible(set_width(true, thickness))
        image = expose(image, emission_for(image, true, width(true), brightness, scan))
    noise = scan.standard_normal(image.shape, dtype=np.float32)
    # Shot noise grows with the square root of the light, read noise does not.
    image += noise * (_SENSOR_NOISE * (0.5 + np.sqrt(np.clip(image, 0, 1))))
    pixels = np.asarray(np.clip(image * 255 + 0.5, 0, 255), np.uint8)
    values: dict[str, float | str] = {}
    if faulty:
        values = {"thickness": width(true), "brightness": appearance.brightness(pixels, true)}
    return MpiImage(pixels, true, {**values, "background": background})


def _visible(mask: Mask) -> Mask:
    """The mask without what the band at the right edge hides, unless that is all of it."""
    visible = mask.copy()
    visible[:, math.ceil(BAND_START * mask.shape[1]) :] = False
    return visible if visible.any() else mask


def _check(mask: Mask, thickness: float | None, brightness: float, background: str) -> None:
    if mask.ndim != 2 or mask.dtype != np.bool_ or min(mask.shape) < 32:
        raise ValueError(f"expected a bool mask, 32 x 32 or larger, got {mask.dtype} {mask.shape}; convert it")
    if thickness is not None and not (math.isfinite(thickness) and 1 <= thickness <= min(mask.shape) / 2):
        raise ValueError(f"expected a thickness of 1 px to half the image, got {thickness:g}; give it in pixels")
    if not 0 <= brightness <= 1:
        raise ValueError(f"expected a brightness in 0 to 1, got {brightness:g}; 0 is faint, 1 overexposed")
    if background not in BACKGROUNDS:
        raise ValueError(f"expected a background of {', '.join(BACKGROUNDS)}, got {background!r}; choose one of them")
