"""The generation plan: masks and guide values for `gen-defects`, so that empty and thin strata are filled first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from augment.balancing.plan_commands import Generator, command, folder_name, guide_of, quoted
from augment.balancing.plan_masks import Donor, PlannedMask, real_mask, scale_to, shape_class, shaped_mask
from augment.balancing.report import Stratum, strata_of
from augment.balancing.strata import SIZES, Measure, Terciles, measure_samples
from defects.attributes.guide import GuideSchema, GuideValue
from defects.images.crops import CropSpec, read_crop
from defects.sample import GOOD, Sample
from engine.errors import DataError
from engine.seeding import numpy_generator

MAX_SCALE = 2.0
"""Largest scale of a real mask, up or down; beyond, masks are procedural."""

MAX_NEEDED_SCALE = 4.0
"""A stratum is left out when every real mask of the class would have to be scaled by more than this."""

_SPECK = 9
"""Masks of fewer px have no shape; some are annotation errors."""

_MOST_MASKS = 32
_DEFAULT_SIZE = 128


@dataclass(frozen=True)
class PlannedStratum:
    """Images to generate for one stratum.

    Attributes:
        stratum: as it is in the data set.
        missing: number of missing images.
        masks: input of the generator; empty where the stratum is left out.
        num: images a mask.
        guide: guide text, in scaled units.
        arguments: the command.
        reason: why the stratum is left out, or a note; may be empty.
    """

    stratum: Stratum
    missing: int
    masks: tuple[PlannedMask, ...] = ()
    num: int = 0
    guide: str = ""
    arguments: tuple[str, ...] = ()
    reason: str = ""

    @property
    def images(self) -> int:
        """Number of images that the command generates."""
        return len(self.masks) * self.num

    @property
    def folder(self) -> str:
        """Of its masks, in the plan's folder."""
        return f"masks/{folder_name(self.stratum.class_name)}/{self.stratum.size}-{self.stratum.brightness}"

    @property
    def line(self) -> str:
        """The command as a shell line."""
        return quoted(self.arguments)

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the masks' pixels."""
        return {
            **self.stratum.to_dict(),
            "need": self.missing,
            "images": self.images,
            "guide": self.guide,
            "command": self.line if self.arguments else None,
            "why": self.reason,
            "masks": [{"source": mask.source, "factor": round(mask.factor, 3)} for mask in self.masks],
        }


@dataclass(frozen=True)
class GenerationPlan:
    """Images to generate for a data set.

    Attributes:
        strata: those with missing images, empty ones first, then the thinnest.
        target: images per stratum.
        terciles: borders of the strata.
        crop_spec: of the generator.
        generator: the plan is for; None for one whose guide scale is that of the data set.
        seed: of masks and images.
    """

    strata: list[PlannedStratum]
    target: int
    terciles: Terciles
    crop_spec: CropSpec
    generator: Generator | None
    seed: int

    @property
    def requested(self) -> list[PlannedStratum]:
        """The strata with a command."""
        return [stratum for stratum in self.strata if stratum.arguments]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "target": self.target,
            "seed": self.seed,
            "terciles": self.terciles.to_dict(),
            "framing": {
                "size": self.crop_spec.size, "window": self.crop_spec.crop, "channels": self.crop_spec.channels
            },
            "checkpoint": self.generator.sha256 if self.generator else None,
            "images": sum(stratum.images for stratum in self.requested),
            "cells": [stratum.to_dict() for stratum in self.strata],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """For a terminal."""
        images = sum(stratum.images for stratum in self.requested)
        lines = [f"{images} images for {len(self.requested)} strata, up to {self.target} in each"]
        for stratum in self.strata:
            what = f"{stratum.stratum.name}: has {stratum.stratum.count}, lacks {stratum.missing}"
            note = f" ({stratum.reason})" if stratum.reason else ""
            lines.append(
                f"{what}; {stratum.line}{note}" if stratum.arguments else f"{what}; left out: {stratum.reason}"
            )
        return lines


def make_generation_plan(
    samples: Sequence[Sample],
    crop_spec: CropSpec | None = None,
    *,
    target: int | None = None,
    generator: Generator | None = None,
    seed: int = 0,
    measures: Sequence[Measure] | None = None,
) -> GenerationPlan:
    """Plans which images a generator should add to a data set.

    Args:
        samples: training images only, since their masks are used.
        crop_spec: crop in which sizes are measured; the generator's where one is given.
        target: images per stratum; by default the mean of the strata that have any, rounded up.
        generator: its guide scale is used; without one, that of a generator trained on this set.
        seed: of masks and images.
        measures: of the same samples in the same crop, where they are known.

    Raises:
        DataError: no image has a marked defect, or one does not open.
        ValueError: the target is below 1.
    """
    if target is not None and target < 1:
        raise ValueError(f"expected a target of at least 1 image per stratum, got {target}; give a larger one")
    crop_spec = generator.crop_spec if generator else crop_spec or CropSpec(_DEFAULT_SIZE)
    if measures is None:
        measures = measure_samples(samples, crop_spec)
    marked = [m for m in measures if m.brightness is not None and m.sample.label != GOOD]
    marked.sort(key=lambda m: m.sample.name)
    if not marked:
        raise DataError(
            "no image has a marked defect, so there is nothing to plan from; give real images with masks",
            code="E-plan-no-defect",
        )
    terciles = Terciles.fit(marked)
    all_strata = strata_of(marked, terciles)
    filled = [stratum.count for stratum in all_strata if stratum.count]
    target = target or math.ceil(sum(filled) / len(filled))
    schema = generator.schema if generator else _schema_of(marked)
    thin = sorted(
        (stratum for stratum in all_strata if stratum.count < target), key=lambda stratum: (stratum.count, stratum.name)
    )
    planner = _Planner(marked, terciles, crop_spec, schema, generator, seed)
    return GenerationPlan(
        [planner.plan(stratum, target - stratum.count) for stratum in thin],
        target,
        terciles,
        crop_spec,
        generator,
        seed,
    )


class _Planner:
    """Plans strata from the measured images of a data set."""

    def __init__(
        self,
        marked: Sequence[Measure],
        terciles: Terciles,
        crop_spec: CropSpec,
        schema: GuideSchema,
        generator: Generator | None,
        seed: int,
    ) -> None:
        self.marked, self.terciles, self.crop_spec = marked, terciles, crop_spec
        self.schema, self.generator, self.seed = schema, generator, seed
        self._donors: dict[str, Donor] = {}
        shares = [m.share for m in marked]
        (a, b), most = terciles.size, max(shares)
        self.ranges = dict(zip(SIZES, ((min(min(shares), a / 2), a), (a, b), (b, max(most, 1.2 * b))), strict=True))

    def plan(self, stratum: Stratum, missing: int) -> PlannedStratum:
        try:
            guide = guide_of(stratum.class_name, stratum.brightness, self.terciles, self.schema)
        except ValueError as error:
            return PlannedStratum(stratum, missing, reason=str(error))
        target_range = self.ranges[stratum.size]
        whole = [m for m in self.marked if m.sample.label == stratum.class_name]
        masked = [m for m in whole if m.area >= _SPECK] or whole
        nearest = min(scale_to(m.share, target_range) for m in masked)
        if nearest > MAX_NEEDED_SCALE:
            return PlannedStratum(
                stratum, missing, reason=f"every real {stratum.class_name} would have to be scaled {nearest:.1f} times"
            )
        masks = self._masks(stratum, min(missing, _MOST_MASKS), target_range, masked)
        if not masks:
            return PlannedStratum(stratum, missing, reason=f"no mask of {stratum.class_name} comes out {stratum.size}")
        num = math.ceil(missing / len(masks))
        procedural = sum(mask.source.startswith("procedural") for mask in masks)
        reason = (
            f"{procedural} of {len(masks)} masks procedural: no real {stratum.class_name} is near that size"
            if procedural
            else ""
        )
        planned = PlannedStratum(stratum, missing, masks, num, guide, reason=reason)
        out = f"synthetic/{folder_name(stratum.class_name)}-{stratum.size}-{stratum.brightness}"
        arguments = command(planned.folder, guide, num, out, self.seed, stratum.class_name, self.generator)
        return replace(planned, arguments=arguments)

    def _masks(
        self, stratum: Stratum, count: int, target_range: tuple[float, float], masked: list[Measure]
    ) -> tuple[PlannedMask, ...]:
        near = [m for m in masked if scale_to(m.share, target_range) <= MAX_SCALE]
        class_name = shape_class(stratum.class_name, [i for m in masked for i in m.instances])
        masks: list[PlannedMask] = []
        for index in range(count):
            rng = numpy_generator(self.seed, "plan", stratum.name, index)
            mask = None
            for _ in range(3):
                if near and mask is None:
                    donor = self._donor(near[int(rng.integers(len(near)))].sample)
                    mask = real_mask(donor, target_range, rng, max_scale=MAX_SCALE)
            mask = mask or shaped_mask(class_name, self.crop_spec.size, _nearest_range(target_range, masked), rng)
            if mask is not None:
                masks.append(mask)
        return tuple(masks)

    def _donor(self, sample: Sample) -> Donor:
        if sample.name not in self._donors:
            self._donors[sample.name] = Donor(sample.name, read_crop(sample, self.crop_spec)[1])
        return self._donors[sample.name]


def _nearest_range(target_range: tuple[float, float], masked: Sequence[Measure]) -> tuple[float, float]:
    """The part of a range of shares near those of a class: up to twice the area of its largest defect."""
    least, most = min(m.share for m in masked), max(m.share for m in masked)
    low, high = target_range
    return max(low, min(least, high) / 2), min(high, 2 * max(most, low))


def _schema_of(marked: Sequence[Measure]) -> GuideSchema:
    """The guide entries of a generator trained on this data set, as far as a plan uses them."""
    several = len({m.sample.label for m in marked}) > 1
    rows: list[dict[str, GuideValue]] = [
        {"brightness": m.brightness, **({"kind": m.sample.label} if several else {})} for m in marked
    ]
    return GuideSchema.fit(rows)
