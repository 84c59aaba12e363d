"""Training pairs of Magna-Blend: a crop around a defect, the same crop without it, and a crop of a good part.

The good crop comes from the same place of another photograph, so that a defect that sits at an edge finds one there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import GuideValue, luminance, ring, ring_radius
from defects.masks.width import Mask, width
from defects.sample import GOOD
from engine.seeding import numpy_generator
from gan.data.color_jitter import draw_light, lit
from gan.data.crops import Pose, Window, WindowSource, clamped, draw_pose, warped
from gan.data.inpainting import inpainted

Floats = NDArray[np.float32]

FARTHEST = 16.0
"""Signed distances are cut off here, px."""
PIECES = 4
"""Photographs of good parts that pieces for in-painting may come from."""
LEAST_RING = 0.2
"""A ring of fewer px than this share of the mask's says little of its brightness."""


@dataclass(frozen=True)
class BlendWindow(Window):
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


def signed_distance(mask: Mask, scale: float = 1.0) -> Floats:
    """(H, W) px from the mask's edge to the pixel's centre, positive inside; times `scale`, `FARTHEST` at most."""
    inside = cv2.distanceTransform(np.pad(mask, 1, mode="edge").astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    signed = np.where(mask, inside[1:-1, 1:-1] - 0.5, 0.5 - outside)
    return np.clip(signed * scale, -FARTHEST, FARTHEST).astype(np.float32)


def margin(mask: Mask, reach: float) -> Mask:
    """The pixels on which alpha may differ from 0."""
    return np.asarray(signed_distance(mask) > -reach)


class BlendSource(WindowSource):
    """Cuts pairs from the samples of a `WindowSource`.

    Args:
        source: samples, columns, scale and augmentation.
        side: of the crops, px; at most the source's size.
        reach: px around a mask that may change.
        seed: of the choice of good photographs for in-painting.
    """

    def __init__(self, source: WindowSource, *, side: int, reach: int, seed: int) -> None:
        super().__init__(
            source.samples, source.columns, size=source.size, channels=source.crop_spec.channels, config=source.config
        )
        self.side, self.reach, self.seed = side, reach, seed
        self.radius = ring_radius(source.size)
        self.relights = self.config.light > 0 or self.config.color > 0
        self.good = [i for i, sample in enumerate(self.samples) if sample.label == GOOD]
        self._whole: dict[int, tuple[NDArray[np.uint8], dict[str, GuideValue]]] = {}
        self._guard = Lock()

    def background(self, index: int) -> tuple[NDArray[np.uint8], dict[str, GuideValue]]:
        """A whole photograph without its defect, and the defect's guide values; kept once made."""
        if index not in self._whole:
            image, mask = self.scaled(index)
            rng = numpy_generator(self.seed, "pieces", index)
            chosen = rng.choice(self.good, min(PIECES, len(self.good)), replace=False) if self.good else ()
            clean = inpainted(image, margin(mask, self.reach), [self.scaled(int(i))[0] for i in chosen])
            guide: dict[str, GuideValue] = {}
            if mask.any():
                guide = {"thickness": width(mask), "brightness": contrast(image, mask, self.radius)[0]}
            with self._guard:
                self._whole.setdefault(index, (clean, guide))
        return self._whole[index]

    def cut(self, index: int, rng: np.random.Generator | None) -> BlendWindow:
        """A pair of the sample; None for `rng` gives the plain central crop and the middle of a good photograph."""
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
        if rng is not None and self.relights:
            light = draw_light(part, self.config, rng)
            part, clean, strength = lit(part, light), lit(clean, light), light.strength
        if isinstance(whole.get("brightness"), float):
            whole = whole | {"brightness": strength * cast(float, whole["brightness"])}
        level, measured = contrast(part, cut, self.radius)
        own = {"brightness": level} if measured else {}
        guide = dict(self.columns[index]) | whole | own
        other = self._other(index, pose, image.shape, rng)
        if rng is not None and self.relights:
            other = lit(other, draw_light(other, self.config, rng))
        return BlendWindow(part, cut, cut, guide, clean, other, signed_distance(cut), measured)

    def _other(
        self, index: int, pose: Pose, shape: Sequence[int], rng: np.random.Generator | None
    ) -> NDArray[np.uint8]:
        """The same place of another photograph, good or made so."""
        among = self.good or [i for i in range(len(self.samples)) if i != index] or [index]
        number = among[int(rng.integers(len(among)))] if rng is not None else among[index % len(among)]
        picture = self.scaled(number)[0] if self.good else self.background(number)[0]
        height, breadth = picture.shape[:2]
        anchor = pose.center[0] / shape[1] * breadth, pose.center[1] / shape[0] * height
        moved = Pose(clamped(anchor, breadth, height, self.side / 2), pose.matrix)
        return cast("NDArray[np.uint8]", np.atleast_3d(warped(picture, moved, self.side, cv2.INTER_LINEAR)))


def contrast(image: NDArray[np.uint8], mask: Mask, radius: int) -> tuple[float, bool]:
    """Mean luminance inside a mask minus that of a ring around it, -1..1, and whether the ring is large enough.

    As `defects.attributes.guide.brightness`, with a radius that does not depend on the crop.
    """
    around = ring(mask, radius) if mask.any() else mask
    light = luminance(np.ascontiguousarray(image))
    inside, outside = (light[part].mean(dtype=np.float64) if part.any() else 0.0 for part in (mask, around))
    level = float(inside - outside) if around.any() else 0.0
    return level, bool(around.sum() > max(8, LEAST_RING * min(int(mask.sum()), 40 * radius)))
