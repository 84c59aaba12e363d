"""What a network draws, brought to the relief and the brightness that are asked for; the mask and alpha stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import gray_levels
from defects.attributes.local_contrast import LocalContrast, bands
from defects.attributes.local_contrast import local_contrast as measured_local_contrast
from defects.masks.width import Mask
from gan.data.blend_pairs import contrast

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

MOST_SHIFT = 96.0
"""Grey levels by which a defect is made brighter or darker to have the brightness that is asked for."""

CORRECTIONS = 5
GAINS = (0.6, 1.7)
"""By how much corrections may make a change weaker or stronger, all together: a kind that is told by its texture and is
hardly darker than its ground must not lose that texture."""
LOCAL_CONTRAST_GAINS = (0.7, 3.0)
"""By how much that which varies within a defect is made weaker or stronger."""
LEAST_LOCAL_CONTRAST = 6
"""Px of the network's scale that a defect needs for its relief to be measured."""
LEAST_CHANGE = 0.02
"""Brightness that a change has to have made before it is made stronger."""


def composed(ground: Floats, change: Floats, opacity: Floats) -> Image:
    """The image (h, w, C) of a change in grey levels (h, w, C) at an opacity (h, w, 1)."""
    defect = np.clip(ground + change, 0, 255)
    return np.asarray(np.rint(ground + opacity * (defect - ground)), np.uint8)


def with_local_contrast(
    local_contrast: LocalContrast, ground: Floats, change: Floats, opacity: Floats, mask: Mask
) -> Floats:
    """The change by which a defect has the relief asked for, all at the network's scale.

    Each band of the light that is seen within the mask is made stronger or weaker, the ground's own grain with it;
    colours stay as they are. A network that is paid for being near an image draws the mean of all it might be, and so
    too little of what varies.
    """
    if mask.sum() < LEAST_LOCAL_CONTRAST:
        return change
    parts = [np.where(mask, band, np.float32(0))[..., None] for band in bands(gray_levels(ground + change), mask)]
    gains, result = np.ones(len(parts)), change
    for _ in range(CORRECTIONS):
        there = np.maximum(measured_local_contrast(composed(ground, result, opacity), mask), 1e-3)
        gains = np.clip(gains * np.asarray(local_contrast) / there, *LOCAL_CONTRAST_GAINS)
        result = change + sum(np.float32(gain - 1) * part for gain, part in zip(gains, parts, strict=True))
    return result


def strengthened(
    brightness: float, dark: bool, change: Floats, ground: Floats, opacity: Floats, mask: Mask, radius: int
) -> Floats:
    """The change made stronger or weaker, as far as `GAINS` bring it, to have the brightness asked for.

    A weaker change keeps the defect's profile, where adding a constant would leave its rim dark around a light middle.
    Where the ground is darker than its surroundings by more than was asked for, a dark defect would be a bright spot:
    it is left as dark as its ground.
    """
    without = contrast(composed(ground, np.zeros_like(change), opacity), mask, radius)[0]
    level, measured = contrast(composed(ground, change, opacity), mask, radius)
    if not measured:
        return change
    brightness = _no_spot(brightness, without, dark)
    strength = 1.0
    for _ in range(CORRECTIONS):
        if abs(level - without) < LEAST_CHANGE:
            break
        strength = float(np.clip(strength * (brightness - without) / (level - without), *GAINS))
        level = contrast(composed(ground, change * np.float32(strength), opacity), mask, radius)[0]
    return change * np.float32(strength)


def shifted(
    brightness: float, dark: bool, change: Floats, ground: Floats, opacity: Floats, mask: Mask, radius: int
) -> Image:
    """The defect made lighter or darker as a whole, to have the brightness asked for."""
    without = contrast(composed(ground, np.zeros_like(change), opacity), mask, radius)[0]
    drawn = composed(ground, change, opacity)
    level, measured = contrast(drawn, mask, radius)
    if not measured:
        return drawn
    brightness = _no_spot(brightness, without, dark)
    shift, gain = 0.0, 255 / float(opacity[mask].mean(dtype=np.float64))
    for _ in range(CORRECTIONS):
        shift = float(np.clip(shift + gain * (brightness - level), -MOST_SHIFT, MOST_SHIFT))
        drawn = composed(ground, change + np.float32(shift), opacity)
        level = contrast(drawn, mask, radius)[0]
    return drawn


def _no_spot(brightness: float, without: float, dark: bool) -> float:
    """What can be had without lightening the ground under a dark defect, or darkening it under a bright one."""
    return min(brightness, without) if dark else max(brightness, without)
