"""The light that a training pair was taken in, changed as a whole.

A defect reflects a share of the light that its ground reflects: on magnetic tiles the contrast of blowholes follows the
brightness of their ground (correlation -0.94). Where one colour of ground is common, a network learns that colour's
change by heart and draws violet pits on grey ones. Photograph and background are changed by the same factors, so what
the network has to draw stays true; grounds that are rare in the data become common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import luminance
from gan.config import DataConfig

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

TINT = 0.25
"""Share of the change of strength by which the channels differ."""
BRIGHT = 99.0
"""Percentile of a picture's values that no light makes brighter than white."""


@dataclass(frozen=True)
class Light:
    """Factors (C,) of the channels, and the share of the colour that stays."""

    factors: Floats
    color: float

    @property
    def strength(self) -> float:
        """By how much luminance changes, about."""
        return float(self.factors.mean())


def draw_light(image: Image, config: DataConfig, rng: np.random.Generator) -> Light:
    """A light for a picture (H, W, C) in which it is not overexposed.

    >>> white = np.full((4, 4, 3), 255, np.uint8)
    >>> light = draw_light(white, DataConfig(light=0.5, color=0.5), np.random.default_rng(0))
    >>> bool(light.factors.max() <= 1) and 0.5 <= light.color <= 1
    True
    """
    draws = rng.uniform(-1, 1, 2 + image.shape[2])
    factors = np.exp(np.log1p(config.light) * (draws[0] + TINT * draws[2:]))
    brightest = float(np.percentile(image, BRIGHT))
    factors *= min(1.0, 255 / max(brightest * float(factors.max()), 1e-9))
    return Light(factors.astype(np.float32), 1 - config.color * float(draws[1]) ** 2)


def lit(image: Image, light: Light) -> Image:
    """A picture (H, W, C) in another light."""
    values = image.astype(np.float32)
    if image.shape[2] == 3:
        gray = 255 * luminance(np.ascontiguousarray(image))[..., None]
        values = gray + light.color * (values - gray)
    return np.asarray(np.clip(np.rint(values * light.factors), 0, 255), np.uint8)
