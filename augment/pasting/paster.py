"""Pasting: defects of real images into backgrounds, with their labels and where both come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augment.pasting import placement
from augment.pasting.blending import poisson_blend
from augment.pasting.images import (
    ImageReader,
    LoadedImage,
    clusters,
    crop_around,
    cropped,
    cut_out,
    part_box,
    random_crop,
    smoothing,
)
from augment.pasting.placement import Limits, Pose
from augment.pasting.texture_defects import texture_defect
from defects.attributes.appearance import background_level, brightness, matched
from defects.images.crops import CropSpec
from defects.masks.width import Mask
from defects.sample import GOOD, Sample
from engine.errors import DataError
from engine.seeding import numpy_generator

METHODS = ("alpha", "poisson", "perlin")


@dataclass(frozen=True)
class PastedImage:
    """One pasted image.

    Attributes:
        name: Unique for (seed, index), without extension.
        image: (H, W, C) uint8.
        mask: (H, W) bool, the label: the pasted defect, and any that the background has of its own.
        label: Class of the defect.
        group: Of the background, so that it stays with the same specimen.
        metadata: Columns for the manifest: `method`, `seed`, `index`, `band` (px around the label beyond which the
            background is unchanged), `defect` and `background` (name, sha256, group of the real samples), `pose`,
            `guide` (raw thickness and brightness as measured on the result).
    """

    name: str
    image: NDArray[np.uint8]
    mask: Mask
    label: str
    group: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


_POSES = 10
"""Poses tried in each background."""


@dataclass(frozen=True)
class Composite:
    """A background with a defect in it.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W) the pasted defect alone.
        background: the image it is pasted into.
        pose: of the defect.
        band: px around the mask beyond which the background is unchanged.
    """

    image: NDArray[np.uint8]
    mask: Mask
    background: LoadedImage
    pose: Pose
    band: float


def paste_into(
    source: LoadedImage,
    defect: Mask,
    backgrounds: list[LoadedImage],
    method: str,
    rng: np.random.Generator,
    limits: Limits,
) -> Composite | None:
    """Pastes one defect of `source` where it fits best among random poses; None where it fits nowhere.

    Args:
        source: the image with the defect.
        defect: (H, W), one of its clusters.
        backgrounds: images to choose from.
        method: `alpha` or `poisson`.
        rng: draws the poses.
        limits: how far the pose may go.
    """
    cutout = cut_out(source, defect)
    reference = placement.surroundings(cutout)
    best: tuple[float, LoadedImage, Pose] | None = None
    for background in backgrounds:
        if background.image.shape[2] != cutout.patch.shape[2]:
            continue
        part = part_box(background.region)
        for _ in range(_POSES):
            pose = placement.propose(cutout, part, rng, limits)
            if pose is None:
                continue
            cost = placement.mismatch(cutout, reference, pose, background)
            if np.isfinite(cost) and (best is None or cost < best[0]):
                best = cost, background, pose
    if best is None:
        return None
    _, background, pose = best
    sigma = smoothing(float(np.sqrt(cutout.area)) * float(np.sqrt(pose.scale[0] * pose.scale[1])))
    left, top, right, bottom = box = placement.box_of(cutout, pose, background.mask.shape, int(np.ceil(3 * sigma)) + 12)
    cut = slice(top, bottom), slice(left, right)
    patch, level, mask = placement.warp(cutout, pose, box)
    if not mask.any():
        return None
    under = background.image[cut]
    patch = matched(patch, level, background_level(under, sigma))
    fade = placement.edge_width(mask)
    blend = placement.alpha_blend if method == "alpha" else poisson_blend
    image, whole = background.image.copy(), np.zeros_like(background.mask)
    image[cut] = blend(under, patch, mask, fade)
    whole[cut] = mask
    return Composite(image, whole, background, pose, round(placement.MARGIN + fade, 3))


_ATTEMPTS = 8


class Paster:
    """Pastes defects; item i depends on the samples, the seed and i alone.

    Classes take turns, so that each is pasted equally often; within a class every image is used once before any is
    used again.

    Args:
        defective: samples with defects to cut out; for `perlin` the sources of texture, may be empty.
        good: the backgrounds; the defective images where there are none.
        method: `alpha`, `poisson` or `perlin`.
        seed: of all random choices.
        crop_spec: how the images are cropped; None leaves them whole and at their own resolution.
        limits: how far a defect may be turned, scaled and stretched.
        texture_label: class of the defects of `perlin`.
        reader: reads the images, with the same crop spec; several pasters may share it.

    Raises:
        ValueError: the method is unknown.
        DataError: there is nothing to cut out, or nothing to paste into.
    """

    def __init__(
        self,
        defective: Sequence[Sample],
        good: Sequence[Sample],
        *,
        method: str = "alpha",
        seed: int = 0,
        crop_spec: CropSpec | None = None,
        limits: Limits | None = None,
        texture_label: str = "texture",
        reader: ImageReader | None = None,
    ) -> None:
        if method not in METHODS:
            raise ValueError(f"expected a method of {', '.join(METHODS)}, got {method!r}; choose one of them")
        marked = sorted((s for s in defective if s.label != GOOD and s.has_pixels), key=lambda s: s.name)
        self.backgrounds = sorted(good, key=lambda s: s.name) or marked
        if not marked and method != "perlin":
            raise DataError(
                "no defective image with a mask to cut a defect out of; give real images with masks",
                code="E-paste-no-defect",
            )
        if not self.backgrounds:
            raise DataError(
                "no image to paste into; give good images, or defective ones with room next to the defect",
                code="E-paste-no-background",
            )
        self.method, self.seed, self.crop_spec = method, seed, crop_spec
        self.limits, self.texture_label = limits or Limits(), texture_label
        self.defective = marked
        self._by_class: dict[str, list[Sample]] = defaultdict(list)
        for sample in marked:
            self._by_class[sample.label].append(sample)
        self._reader = reader or ImageReader(crop_spec)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of its images, in the order in which they take turns."""
        return (self.texture_label,) if self.method == "perlin" else tuple(sorted(self._by_class))

    def name_of(self, index: int) -> str:
        """Name of item number `index`."""
        return f"paste-{self.method}-{self.seed}-{index:06d}"

    def make(self, index: int) -> PastedImage:
        """Item number `index`.

        Raises:
            DataError: an image does not open, or no defect of the class fits into a background.
            ValueError: the index is negative.
        """
        if index < 0:
            raise ValueError(f"expected an index from 0, got {index}; count from 0")
        for attempt in range(_ATTEMPTS):
            rng = numpy_generator(self.seed, "paste", self.method, index, attempt)
            pasted_image = self._perlin(index, rng) if self.method == "perlin" else self._paste(index, attempt, rng)
            if pasted_image is not None:
                return pasted_image
        class_name = self.classes[index % len(self.classes)]
        raise DataError(
            f"pasting item {index}: no {class_name!r} defect fits into the images tried; "
            "give larger or more good images, or leave that class out",
            code="E-paste-no-fit",
        )

    def _paste(self, index: int, attempt: int, rng: np.random.Generator) -> PastedImage | None:
        turn, number = divmod(index, len(self.classes))
        sources = self._by_class[self.classes[number]]
        source = sources[self._order(self.classes[number], turn // len(sources), len(sources))[turn % len(sources)]]
        if attempt:
            source = sources[int(rng.integers(len(sources)))]
        loaded = self._reader.read(source)
        defects = clusters(loaded.mask)
        if not defects:
            return None
        weights = np.sqrt([float(d.sum()) for d in defects])
        defect = defects[int(rng.choice(len(defects), p=weights / weights.sum()))]
        candidates = [self._reader.read(self._background(rng, source.label)) for _ in range(3)]
        composite = paste_into(loaded, defect, candidates, self.method, rng, self.limits)
        if composite is None:
            return None
        background = composite.background
        more = {"defect": self._reader.origin(source), "band": composite.band, "pose": composite.pose.to_dict()}
        return self._finish(
            index, rng, background.sample, source.label, composite.image, background.mask, composite.mask, more
        )

    def _perlin(self, index: int, rng: np.random.Generator) -> PastedImage | None:
        background = self._reader.read(self._background(rng, None))
        if self.crop_spec is not None:
            background = cropped(background, random_crop(background.mask, self.crop_spec.size, rng))
        others = self.defective or self.backgrounds
        texture = others[int(rng.integers(len(others)))]
        textured = texture_defect(background, self._reader.read(texture), rng)
        if textured is None:
            return None
        more = {"band": 0.0, "opacity": round(textured.opacity, 4), "texture": textured.texture}
        if textured.texture == "image":
            more["defect"] = self._reader.origin(texture)
        label = self.texture_label
        return self._finish(index, rng, background.sample, label, textured.image, background.mask, textured.mask, more)

    def _finish(
        self,
        index: int,
        rng: np.random.Generator,
        background: Sample,
        label: str,
        image: Any,
        existing: Mask,
        pasted: Mask,
        more: dict[str, Any],
    ) -> PastedImage | None:
        mask = existing | pasted
        if self.crop_spec is not None and self.method != "perlin":
            cut = crop_around(pasted, existing, self.crop_spec.size, rng)
            image, mask, pasted = np.ascontiguousarray(image[cut]), mask[cut].copy(), pasted[cut]
        if not pasted.any():
            return None
        metadata = {
            "method": self.method,
            "seed": self.seed,
            "index": index,
            "ground": self._reader.origin(background),
            **more,
            "guide": {"brightness": round(brightness(image, mask), 5)},
        }
        return PastedImage(self.name_of(index), image, mask, label, background.group or background.name, metadata)

    def _background(self, rng: np.random.Generator, label: str | None) -> Sample:
        """A random background; one with a defect of its own only where that is of the same class."""
        fitting = [s for s in self.backgrounds if s.label in (GOOD, label)] or self.backgrounds
        return fitting[int(rng.integers(len(fitting)))]

    def _order(self, class_name: str, turn: int, count: int) -> list[int]:
        return [int(i) for i in numpy_generator(self.seed, "order", class_name, turn).permutation(count)]
