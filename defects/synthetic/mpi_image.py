"""One procedural fluorescent magnetic-particle image of a fastener shank, with every guide value known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from defects.attributes import guide as guides
from defects.masks.width import Mask, set_width, width
from defects.synthetic.mpi_indications import emission_for, expose, false_indications, speckle
from defects.synthetic.mpi_surface import BACKGROUNDS, BAND_START, MATERIALS, surface

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
        values = {"thickness": width(true), "brightness": guides.brightness(pixels, true)}
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
