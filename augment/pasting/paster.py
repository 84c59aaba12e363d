"""What pasting makes: an image, its label, and where both come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augment.pasting.blending import MARGIN, alpha_blend, edge_width, poisson_blend
from augment.pasting.cutouts import clusters, cut_out, smoothing
from augment.pasting.images import Photograph, Photographs, part_box, part_of, view_of, window_at_random
from augment.pasting.placement import Limits, Pose, box_of, mismatch, propose, surroundings, warp
from augment.pasting.texture_defects import texture_defect
from defects.attributes.background import background_level, matched
from defects.attributes.guide import brightness
from defects.images.crops import CropSpec
from defects.masks.width import Mask
from defects.sample import GOOD, Sample
from engine.errors import DataError
from engine.seeding import numpy_generator

METHODS = ("alpha", "poisson", "perlin")


@dataclass(frozen=True)
class Made:
    """One pasted image.

    Attributes:
        name: Unique for (seed, index), without extension.
        image: (H, W, C) uint8.
        mask: (H, W) bool, the label: the pasted defect, and any that the ground already had.
        label: Kind of the defect.
        group: Of the ground, so that it stays with the part it shows.
        metadata: Columns for the manifest: `method`, `seed`, `index`, `band` (px around the label beyond which the
            ground is unchanged), `defect` and `ground` (name, sha256, group of the real samples), `pose`,
            `guide` (raw thickness and brightness as measured on the result).
    """

    name: str
    image: NDArray[np.uint8]
    mask: Mask
    label: str
    group: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


_PLACES = 10
"""Places looked at in each ground."""


@dataclass(frozen=True)
class Pasted:
    """A ground with a defect in it.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W) the pasted defect alone.
        ground: the photograph it went into.
        pose: how it lies there.
        band: px around the mask beyond which the ground is unchanged.
    """

    image: NDArray[np.uint8]
    mask: Mask
    ground: Photograph
    pose: Pose
    band: float


def paste_into(
    source: Photograph,
    defect: Mask,
    background_stats: list[Photograph],
    method: str,
    rng: np.random.Generator,
    limits: Limits,
) -> Pasted | None:
    """Paste one defect of `source` where it fits best among random places; None where it fits nowhere.

    Args:
        source: the photograph with the defect.
        defect: (H, W), one of its clusters.
        background_stats: photographs to choose from.
        method: `alpha` or `poisson`.
        rng: draws the places.
        limits: how far the pose may go.
    """
    cutout = cut_out(source, defect)
    own = surroundings(cutout)
    best: tuple[float, Photograph, Pose] | None = None
    for ground in background_stats:
        if ground.image.shape[2] != cutout.patch.shape[2]:
            continue
        part = part_box(ground.region)
        for _ in range(_PLACES):
            pose = propose(cutout, part, rng, limits)
            if pose is None:
                continue
            cost = mismatch(cutout, own, pose, ground)
            if np.isfinite(cost) and (best is None or cost < best[0]):
                best = cost, ground, pose
    if best is None:
        return None
    _, ground, pose = best
    sigma = smoothing(float(np.sqrt(cutout.area)) * float(np.sqrt(pose.scale[0] * pose.scale[1])))
    left, top, right, bottom = box = box_of(cutout, pose, ground.mask.shape, int(np.ceil(3 * sigma)) + 12)
    cut = slice(top, bottom), slice(left, right)
    patch, level, mask = warp(cutout, pose, box)
    if not mask.any():
        return None
    under = ground.image[cut]
    patch = matched(patch, level, background_level(under, sigma))
    fade = edge_width(mask)
    blend = alpha_blend if method == "alpha" else poisson_blend
    image, whole = ground.image.copy(), np.zeros_like(ground.mask)
    image[cut] = blend(under, patch, mask, fade)
    whole[cut] = mask
    return Pasted(image, whole, ground, pose, round(MARGIN + fade, 3))


_ATTEMPTS = 8


class Paster:
    """Makes pasted images; item i depends on the samples, the seed and i alone.

    Kinds take turns, so that every kind of defect is pasted equally often; within a kind every photograph gets its
    turn before any gets a second one.

    Args:
        defective: samples with defects to cut out; for `perlin` the images whose texture is taken, may be empty.
        good: the grounds; where it is empty, the defective ones are.
        method: `alpha`, `poisson` or `perlin`.
        seed: another seed, other images.
        crop_spec: how the photographs become squares; None keeps them whole and at their own resolution.
        limits: how far a defect may be turned, scaled and stretched.
        texture_label: kind of the defects that `perlin` makes.
        photographs: what reads them, with the same framing; several may share it. Its own without it.

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
        photographs: Photographs | None = None,
    ) -> None:
        if method not in METHODS:
            raise ValueError(f"expected a method of {', '.join(METHODS)}, got {method!r}; choose one of them")
        marked = sorted((s for s in defective if s.label != GOOD and s.has_pixels), key=lambda s: s.name)
        self.background_stats = sorted(good, key=lambda s: s.name) or marked
        if not marked and method != "perlin":
            raise DataError("no defective image with a mask to cut a defect out of; give real images with masks")
        if not self.background_stats:
            raise DataError("no image to paste into; give good images, or defective ones with room beside the defect")
        self.method, self.seed, self.crop_spec = method, seed, crop_spec
        self.limits, self.texture_label = limits or Limits(), texture_label
        self.defective = marked
        self._of_kind: dict[str, list[Sample]] = defaultdict(list)
        for sample in marked:
            self._of_kind[sample.label].append(sample)
        self._photographs = photographs or Photographs(crop_spec)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it makes, in the order in which they take turns."""
        return (self.texture_label,) if self.method == "perlin" else tuple(sorted(self._of_kind))

    def make(self, index: int) -> Made:
        """Item number `index`.

        Raises:
            DataError: an image does not open, or no defect of the kind fits into any ground that was tried.
            ValueError: the index is negative.
        """
        if index < 0:
            raise ValueError(f"expected an index from 0, got {index}; count from 0")
        for attempt in range(_ATTEMPTS):
            rng = numpy_generator(self.seed, "paste", self.method, index, attempt)
            made = self._perlin(index, rng) if self.method == "perlin" else self._paste(index, attempt, rng)
            if made is not None:
                return made
        kind = self.kinds[index % len(self.kinds)]
        raise DataError(
            f"pasting item {index}: no {kind!r} defect fits into the images tried; "
            "give larger or more good images, or leave that kind out"
        )

    def _paste(self, index: int, attempt: int, rng: np.random.Generator) -> Made | None:
        turn, kind = divmod(index, len(self.kinds))
        sources = self._of_kind[self.kinds[kind]]
        source = sources[self._order(self.kinds[kind], turn // len(sources), len(sources))[turn % len(sources)]]
        if attempt:
            source = sources[int(rng.integers(len(sources)))]
        photograph = self._photographs.read(source)
        defects = clusters(photograph.mask)
        if not defects:
            return None
        weights = np.sqrt([float(d.sum()) for d in defects])
        defect = defects[int(rng.choice(len(defects), p=weights / weights.sum()))]
        candidates = [self._photographs.read(self._ground(rng, source.label)) for _ in range(3)]
        found = paste_into(photograph, defect, candidates, self.method, rng, self.limits)
        if found is None:
            return None
        ground = found.ground
        more = {"defect": self._photographs.origin(source), "band": found.band, "pose": found.pose.to_dict()}
        return self._finish(index, rng, ground.sample, source.label, found.image, ground.mask, found.mask, more)

    def _perlin(self, index: int, rng: np.random.Generator) -> Made | None:
        ground = self._photographs.read(self._ground(rng, None))
        if self.crop_spec is not None:
            ground = part_of(ground, window_at_random(ground.mask, self.crop_spec.size, rng))
        others = self.defective or self.background_stats
        texture = others[int(rng.integers(len(others)))]
        found = texture_defect(ground, self._photographs.read(texture), rng)
        if found is None:
            return None
        more = {"band": 0.0, "opacity": round(found.opacity, 4), "texture": found.texture}
        if found.texture == "image":
            more["defect"] = self._photographs.origin(texture)
        label = self.texture_label
        return self._finish(index, rng, ground.sample, label, found.image, ground.mask, found.mask, more)

    def _finish(
        self,
        index: int,
        rng: np.random.Generator,
        ground: Sample,
        label: str,
        image: Any,
        own: Mask,
        pasted: Mask,
        more: dict[str, Any],
    ) -> Made | None:
        mask = own | pasted
        if self.crop_spec is not None and self.method != "perlin":
            cut = view_of(pasted, own, self.crop_spec.size, rng)
            image, mask, pasted = np.ascontiguousarray(image[cut]), mask[cut].copy(), pasted[cut]
        if not pasted.any():
            return None
        metadata = {
            "method": self.method,
            "seed": self.seed,
            "index": index,
            "ground": self._photographs.origin(ground),
            **more,
            "guide": {"brightness": round(brightness(image, mask), 5)},
        }
        name = f"paste-{self.method}-{self.seed}-{index:06d}"
        return Made(name, image, mask, label, ground.group or ground.name, metadata)

    def _ground(self, rng: np.random.Generator, label: str | None) -> Sample:
        """A ground at random; one with a defect of its own only where it is of the same kind."""
        fitting = [s for s in self.background_stats if s.label in (GOOD, label)] or self.background_stats
        return fitting[int(rng.integers(len(fitting)))]

    def _order(self, kind: str, turn: int, count: int) -> list[int]:
        return [int(i) for i in numpy_generator(self.seed, "order", kind, turn).permutation(count)]


def pasted_samples(
    defective: Sequence[Sample],
    good: Sequence[Sample],
    *,
    count: int,
    method: str = "alpha",
    seed: int = 0,
    crop_spec: CropSpec | None = None,
) -> Iterator[Made]:
    """The first `count` items of a `Paster`; see there."""
    paster = Paster(defective, good, method=method, seed=seed, crop_spec=crop_spec)
    return (paster.make(index) for index in range(count))
