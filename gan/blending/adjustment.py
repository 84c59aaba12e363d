"""Adjustment of a generated defect to the requested local contrast and brightness; the mask and alpha stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defects.attributes.appearance import LocalContrast, bands, gray_levels, reliable_brightness
from defects.attributes.appearance import local_contrast as measured_local_contrast
from defects.masks.width import Mask

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

MOST_SHIFT = 96.0
"""Gray levels by which a defect is shifted at most to reach the requested brightness."""
CORRECTIONS = 5
GAINS = (0.6, 1.7)
"""By how much corrections may weaken or strengthen a change, all together: a class that is recognized by its texture
and is hardly darker than its background must not lose that texture."""
LOCAL_CONTRAST_GAINS = (0.7, 3.0)
"""By how much a band within a defect is weakened or strengthened."""
LEAST_LOCAL_CONTRAST = 6
"""Px of the network's scale that a defect needs for its local contrast to be measured."""
LEAST_CHANGE = 0.02
"""Brightness that a change must reach before it is strengthened."""


def composed(background: Floats, change: Floats, opacity: Floats) -> Image:
    """The image (h, w, C) of a change in gray levels (h, w, C) at an opacity (h, w, 1)."""
    defect = np.clip(background + change, 0, 255)
    return np.asarray(np.rint(background + opacity * (defect - background)), np.uint8)


def with_local_contrast(
    local_contrast: LocalContrast, background: Floats, change: Floats, opacity: Floats, mask: Mask
) -> Floats:
    """The change by which a defect has the requested local contrast, all at the network's scale.

    Each band of the luminance within the mask is weakened or strengthened, the background's own grain with it; colors
    stay as they are. A network trained on a distance to an image gives the mean of all possible images, which varies
    too little.
    """
    if mask.sum() < LEAST_LOCAL_CONTRAST:
        return change
    parts = [np.where(mask, band, np.float32(0))[..., None] for band in bands(gray_levels(background + change), mask)]
    gains, result = np.ones(len(parts)), change
    for _ in range(CORRECTIONS):
        there = np.maximum(measured_local_contrast(composed(background, result, opacity), mask), 1e-3)
        gains = np.clip(gains * np.asarray(local_contrast) / there, *LOCAL_CONTRAST_GAINS)
        result = change + sum(np.float32(gain - 1) * part for gain, part in zip(gains, parts, strict=True))
    return result


def strengthened(
    brightness: float, dark: bool, change: Floats, background: Floats, opacity: Floats, mask: Mask, radius: int
) -> Floats:
    """The change weakened or strengthened, within `GAINS`, towards the requested brightness.

    A weaker change keeps the defect's profile, where adding a constant would leave its rim dark around a light middle.
    Where the background is darker than its surroundings by more than requested, a dark defect would be a bright spot:
    it is left as dark as its background.
    """
    without = reliable_brightness(composed(background, np.zeros_like(change), opacity), mask, radius)[0]
    level, measured = reliable_brightness(composed(background, change, opacity), mask, radius)
    if not measured:
        return change
    brightness = _without_spot(brightness, without, dark)
    strength = 1.0
    for _ in range(CORRECTIONS):
        if abs(level - without) < LEAST_CHANGE:
            break
        strength = float(np.clip(strength * (brightness - without) / (level - without), *GAINS))
        level = reliable_brightness(composed(background, change * np.float32(strength), opacity), mask, radius)[0]
    return change * np.float32(strength)


def shifted(
    brightness: float, dark: bool, change: Floats, background: Floats, opacity: Floats, mask: Mask, radius: int
) -> Image:
    """The defect lightened or darkened as a whole to the requested brightness."""
    without = reliable_brightness(composed(background, np.zeros_like(change), opacity), mask, radius)[0]
    image = composed(background, change, opacity)
    level, measured = reliable_brightness(image, mask, radius)
    if not measured:
        return image
    brightness = _without_spot(brightness, without, dark)
    shift, gain = 0.0, 255 / float(opacity[mask].mean(dtype=np.float64))
    for _ in range(CORRECTIONS):
        shift = float(np.clip(shift + gain * (brightness - level), -MOST_SHIFT, MOST_SHIFT))
        image = composed(background, change + np.float32(shift), opacity)
        level = reliable_brightness(image, mask, radius)[0]
    return image


def _without_spot(brightness: float, without: float, dark: bool) -> float:
    """What can be reached without lightening the background under a dark defect, or darkening it under a bright one."""
    return min(brightness, without) if dark else max(brightness, without)
