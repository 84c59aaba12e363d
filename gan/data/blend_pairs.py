"""Training pairs of Magna-Blend: a crop around a defect, the same crop without it, and a crop of a good part.

The good crop comes from the same place of another image, so that a defect at an edge gets an edge there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.appearance import brightness, reliable_brightness, ring_radius
from defects.attributes.guide import GuideValue
from defects.masks.width import Mask, signed_distance, width
from defects.sample import GOOD
from engine.seeding import numpy_generator
from gan.config import BlendDataConfig
from gan.data.color_jitter import jittered, sample_jitter
from gan.data.crops import CropSource, Pose, TrainingCrop, clamped, draw_pose, warped
from gan.data.inpainting import inpainted

Floats = NDArray[np.float32]

PIECES = 4
"""Images of good parts that patches for inpainting may come from."""


@dataclass(frozen=True)
class BlendPair(TrainingCrop):
    """One training pair; `condition` is the mask itself.

    Attributes:
        background: (S, S, C) the image without its defect; equal to it from the network's reach on.
        other: (S, S, C) a good surface.
        distance: (S, S) see `signed_distance`.
        measured: whether the crop shows enough of the surroundings to measure the defect's brightness.
    """

    background: NDArray[np.uint8]
    other: NDArray[np.uint8]
    distance: Floats
    measured: bool


def margin(mask: Mask, blend_radius: float) -> Mask:
    """The pixels on which alpha may differ from 0."""
    return np.asarray(signed_distance(mask) > -blend_radius)


class PairSource(CropSource):
    """Cuts pairs from the samples of a `CropSource`.

    Args:
        source: Samples, columns, scale and augmentation.
        side: Of the crops, px; at most the source's size.
        blend_radius: Px around a mask that may change.
        seed: Of the selection of good images for inpainting.
    """

    def __init__(self, source: CropSource, *, side: int, blend_radius: int, seed: int) -> None:
        super().__init__(
            source.samples, source.columns, size=source.size, channels=source.crop_spec.channels, config=source.config
        )
        self.side, self.blend_radius, self.seed = side, blend_radius, seed
        self.radius = ring_radius(source.size)
        self.jitter = cast(BlendDataConfig, self.config)
        self.jitters = self.jitter.brightness_jitter > 0 or self.jitter.color_jitter > 0
        self.good = [i for i, sample in enumerate(self.samples) if sample.label == GOOD]
        self._whole: dict[int, tuple[NDArray[np.uint8], dict[str, GuideValue]]] = {}
        self._guard = Lock()

    def background(self, index: int) -> tuple[NDArray[np.uint8], dict[str, GuideValue]]:
        """A whole image without its defect, and the defect's guide values; cached."""
        if index not in self._whole:
            image, mask = self.scaled(index)
            rng = numpy_generator(self.seed, "pieces", index)
            selected = rng.choice(self.good, min(PIECES, len(self.good)), replace=False) if self.good else ()
            clean = inpainted(image, margin(mask, self.blend_radius), [self.scaled(int(i))[0] for i in selected])
            guide: dict[str, GuideValue] = {}
            if mask.any():
                guide = {"thickness": width(mask), "brightness": brightness(image, mask, self.radius)}
            with self._guard:
                self._whole.setdefault(index, (clean, guide))
        return self._whole[index]

    def cut(self, index: int, rng: np.random.Generator | None) -> BlendPair:
        """A pair of the sample; None for `rng` gives the plain central crop and the middle of a good image."""
        image, mask = self.scaled(index)
        background, whole = self.background(index)
        for attempt in range(4):
            pose = draw_pose(mask, self.side, self.config, rng if attempt < 3 else None)
            cut = warped(mask.astype(np.uint8) * 255, pose, self.side, cv2.INTER_LINEAR) >= 128
            if cut.any() or not mask.any():
                break
        part, clean = (
            np.atleast_3d(warped(pixels, pose, self.side, cv2.INTER_LINEAR)) for pixels in (image, background)
        )
        strength = 1.0
        if rng is not None and self.jitters:
            jitter = sample_jitter(part, self.jitter, rng)
            part, clean, strength = jittered(part, jitter), jittered(clean, jitter), jitter.strength
        if isinstance(whole.get("brightness"), float):
            whole = whole | {"brightness": strength * cast(float, whole["brightness"])}
        level, measured = reliable_brightness(part, cut, self.radius)
        cropped = {"brightness": level} if measured else {}
        guide = dict(self.columns[index]) | whole | cropped
        other = self._other(index, pose, image.shape, rng)
        if rng is not None and self.jitters:
            other = jittered(other, sample_jitter(other, self.jitter, rng))
        return BlendPair(part, cut, cut, guide, clean, other, signed_distance(cut), measured)

    def _other(
        self, index: int, pose: Pose, shape: Sequence[int], rng: np.random.Generator | None
    ) -> NDArray[np.uint8]:
        """The same place of another image, good or inpainted."""
        among = self.good or [i for i in range(len(self.samples)) if i != index] or [index]
        number = among[int(rng.integers(len(among)))] if rng is not None else among[index % len(among)]
        image = self.scaled(number)[0] if self.good else self.background(number)[0]
        height, width = image.shape[:2]
        anchor = pose.center[0] / shape[1] * width, pose.center[1] / shape[0] * height
        moved = Pose(clamped(anchor, width, height, self.side / 2), pose.matrix)
        return cast("NDArray[np.uint8]", np.atleast_3d(warped(image, moved, self.side, cv2.INTER_LINEAR)))
