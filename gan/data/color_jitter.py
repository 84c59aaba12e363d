"""Color jitter: a training pair under another light, its image and background changed by the same factors.

A defect reflects a share of the light that its background reflects: on magnetic tiles the contrast of blowholes follows
the brightness of their background (correlation -0.94). Where one background color is common, a network learns that
color's change by heart and generates violet pits on gray ones. With the same factors for both, the target of the
network stays true; backgrounds that are rare in the data become common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from defects.attributes.appearance import luminance
from gan.config import BlendDataConfig

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

TINT = 0.25
"""Share of the change of strength by which the channels differ."""
BRIGHT = 99.0
"""Percentile of an image's values that no light makes brighter than white."""


@dataclass(frozen=True)
class ColorJitter:
    """Factors (C,) of the channels, and the share of the color that stays."""

    factors: Floats
    color: float

    @property
    def strength(self) -> float:
        """By how much luminance changes, about."""
        return float(self.factors.mean())


def sample_jitter(image: Image, config: BlendDataConfig, rng: np.random.Generator) -> ColorJitter:
    """A jitter for an image (H, W, C) by which it is not overexposed.

    >>> white = np.full((4, 4, 3), 255, np.uint8)
    >>> jitter = sample_jitter(
    ...     white, BlendDataConfig(brightness_jitter=0.5, color_jitter=0.5), np.random.default_rng(0)
    ... )
    >>> bool(jitter.factors.max() <= 1) and 0.5 <= jitter.color <= 1
    True
    """
    draws = rng.uniform(-1, 1, 2 + image.shape[2])
    factors = np.exp(np.log1p(config.brightness_jitter) * (draws[0] + TINT * draws[2:]))
    brightest = float(np.percentile(image, BRIGHT))
    factors *= min(1.0, 255 / max(brightest * float(factors.max()), 1e-9))
    return ColorJitter(factors.astype(np.float32), 1 - config.color_jitter * float(draws[1]) ** 2)


def jittered(image: Image, jitter: ColorJitter) -> Image:
    """An image (H, W, C) under another light."""
    values = image.astype(np.float32)
    if image.shape[2] == 3:
        gray = 255 * luminance(np.ascontiguousarray(image))[..., None]
        values = gray + jitter.color * (values - gray)
    return np.asarray(np.clip(np.rint(values * jitter.factors), 0, 255), np.uint8)
