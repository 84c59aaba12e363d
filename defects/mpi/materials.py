"""The four surfaces of the procedural fastener, as numbers: colour under ultraviolet light and texture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Material:
    """How a surface looks before any particle sticks to it; strengths are relative to its luminance.

    Attributes:
        colour: Mean red, green, blue in 0..1.
        second: Colour that the cloudy patches lean towards.
        lines: Strength of the machining lines.
        line_length: Their correlation length, px on a 128 px image.
        cloud: Strength of the cloudy patches.
        cloud_size: Their size, px on a 128 px image.
        grain: Strength of the grain.
        grain_size: Its size, px on a 128 px image.
        speckle: Fluorescent particles left on the surface, per 1,000 px of a 128 px image.
    """

    colour: tuple[float, float, float]
    second: tuple[float, float, float]
    lines: float
    line_length: float
    cloud: float
    cloud_size: float
    grain: float
    grain_size: float
    speckle: float


MATERIALS: dict[str, Material] = {
    # Plain dark steel: nearly black, violet from the lamp, crisp grinding lines.
    "dark": Material((0.070, 0.066, 0.140), (0.095, 0.070, 0.165), 0.34, 44.0, 0.10, 30.0, 0.10, 0.7, 5.0),
    # Phosphate coating: matt grey-green, crystalline, holds many particles, hardly any lines.
    "phosphate": Material((0.162, 0.186, 0.158), (0.138, 0.174, 0.152), 0.07, 16.0, 0.13, 7.0, 0.24, 0.9, 15.0),
    # Zinc plating: brighter and bluish with pale, drawn-out patches.
    "zinc": Material((0.098, 0.160, 0.305), (0.140, 0.190, 0.330), 0.15, 34.0, 0.09, 9.0, 0.09, 0.6, 3.5),
    # Cadmium plating, chromated: brassy yellow, satin, broad streaks.
    "cadmium": Material((0.270, 0.218, 0.078), (0.282, 0.212, 0.100), 0.20, 60.0, 0.07, 18.0, 0.08, 0.7, 3.0),
}

BACKGROUNDS = tuple(MATERIALS)
