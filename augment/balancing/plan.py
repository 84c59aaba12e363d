"""Which masks and guide values to ask `gen-defects` for, so that empty and thin cells are filled first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from augment.balancing.measures import Measure, measure_samples
from augment.balancing.plan_commands import Generator, command, folder_name, guide_of, quoted
from augment.balancing.plan_masks import Donor, PlannedMask, factor_to, real_mask, shape_kind, shaped_mask
from augment.balancing.strata import SIZES, Cell, Terciles, cells_of
from defects.attributes.guide import GuideSchema, GuideValue
from defects.images.crops import CropSpec, read_crop
from defects.sample import GOOD, Sample
from engine.errors import DataError
from engine.seeding import numpy_generator

REAL_REACH = 2.0
"""A real mask is scaled by this much at most, up or down; beyond, masks are procedural."""

FURTHEST = 4.0
"""A cell is left out when every real mask of the kind would have to be scaled by more than this."""

_SPECK = 9
"""Masks of fewer px say nothing of a shape; some are slips of the pen."""

_MOST_MASKS = 32
_DEFAULT_SIZE = 128


@dataclass(frozen=True)
class PlanCell:
    """What to ask for one cell.

    Attributes:
        cell: as the set fills it.
        need: images that are missing.
        masks: to give the generator; empty where the cell is left out.
        num: images a mask.
        guide: guide text, in scaled units.
        words: the command.
        why: why the cell is left out, or what is to be known of it; may be empty.
    """

    cell: Cell
    need: int
    masks: tuple[PlannedMask, ...] = ()
    num: int = 0
    guide: str = ""
    words: tuple[str, ...] = ()
    why: str = ""

    @property
    def images(self) -> int:
        """How many images the command makes."""
        return len(self.masks) * self.num

    @property
    def folder(self) -> str:
        """Of its masks, in the plan's folder."""
        return f"masks/{folder_name(self.cell.kind)}/{self.cell.size}-{self.cell.brightness}"

    @property
    def line(self) -> str:
        """The command as a shell line."""
        return quoted(self.words)

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the masks' pixels."""
        return {
            **self.cell.to_dict(),
            "need": self.need,
            "images": self.images,
            "guide": self.guide,
            "command": self.line if self.words else None,
            "why": self.why,
            "masks": [{"source": mask.source, "factor": round(mask.factor, 3)} for mask in self.masks],
        }


@dataclass(frozen=True)
class Plan:
    """What to ask a generator for.

    Attributes:
        cells: those that lack images: empty ones first, then from the thinnest.
        target: images a cell is filled up to.
        terciles: where sizes and brightnesses are parted.
        crop_spec: the square the generator sees.
        generator: that is asked; None where only the set is known, whose own scale is then taken for its.
        seed: of masks and images.
    """

    cells: list[PlanCell]
    target: int
    terciles: Terciles
    crop_spec: CropSpec
    generator: Generator | None
    seed: int

    @property
    def asked(self) -> list[PlanCell]:
        """The cells with a command."""
        return [cell for cell in self.cells if cell.words]

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
            "images": sum(cell.images for cell in self.asked),
            "cells": [cell.to_dict() for cell in self.cells],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """For a terminal."""
        images = sum(cell.images for cell in self.asked)
        lines = [f"{images} images for {len(self.asked)} cells, up to {self.target} in each"]
        for cell in self.cells:
            what = f"{cell.cell.name}: has {cell.cell.count}, lacks {cell.need}"
            note = f" ({cell.why})" if cell.why else ""
            lines.append(f"{what}; {cell.line}{note}" if cell.words else f"{what}; left out: {cell.why}")
        return lines


def make_generation_plan(
    samples: Sequence[Sample],
    crop_spec: CropSpec | None = None,
    *,
    target: int | None = None,
    generator: Generator | None = None,
    seed: int = 0,
    measures: Sequence[Measure] | None = None,
) -> Plan:
    """Plan what a generator should make.

    Args:
        samples: the training images only, for their masks are used.
        crop_spec: the square in which sizes count; the generator's where one is given.
        target: images a cell should have; else the mean of the cells that have any, rounded up.
        generator: whose guide scale to write in; without one, that of a generator trained on this set.
        seed: of masks and images.
        measures: of the same samples in the same framing, where they are known.

    Raises:
        DataError: no image has a marked defect, or one does not open.
        ValueError: the target is below 1.
    """
    if target is not None and target < 1:
        raise ValueError(f"expected a target of at least 1 image a cell, got {target}; give a larger one")
    crop_spec = generator.crop_spec if generator else crop_spec or CropSpec(_DEFAULT_SIZE)
    if measures is None:
        measures = measure_samples(samples, crop_spec)
    marked = [m for m in measures if m.brightness is not None and m.sample.label != GOOD]
    marked.sort(key=lambda m: m.sample.name)
    if not marked:
        raise DataError("no image has a marked defect, so there is nothing to plan from; give real images with masks")
    terciles = Terciles.fit(marked)
    found = cells_of(marked, terciles)
    filled = [cell.count for cell in found if cell.count]
    target = target or math.ceil(sum(filled) / len(filled))
    schema = generator.schema if generator else _schema_of(marked)
    thin = sorted((cell for cell in found if cell.count < target), key=lambda cell: (cell.count, cell.name))
    planner = _Planner(marked, terciles, crop_spec, schema, generator, seed)
    return Plan(
        [planner.plan(cell, target - cell.count) for cell in thin], target, terciles, crop_spec, generator, seed
    )


class _Planner:
    """Fills cells from the measured images of a set."""

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

    def plan(self, cell: Cell, need: int) -> PlanCell:
        try:
            guide = guide_of(cell.kind, cell.brightness, self.terciles, self.schema)
        except ValueError as error:
            return PlanCell(cell, need, why=str(error))
        wanted = self.ranges[cell.size]
        whole = [m for m in self.marked if m.sample.label == cell.kind]
        own = [m for m in whole if m.area >= _SPECK] or whole
        nearest = min(factor_to(m.share, wanted) for m in own)
        if nearest > FURTHEST:
            return PlanCell(cell, need, why=f"every real {cell.kind} would have to be scaled {nearest:.1f} times")
        masks = self._masks(cell, min(need, _MOST_MASKS), wanted, own)
        if not masks:
            return PlanCell(cell, need, why=f"no mask of {cell.kind} comes out {cell.size}")
        num = math.ceil(need / len(masks))
        drawn = sum(mask.source.startswith("procedural") for mask in masks)
        why = f"{drawn} of {len(masks)} masks procedural: no real {cell.kind} is near that size" if drawn else ""
        made = PlanCell(cell, need, masks, num, guide, why=why)
        out = f"synthetic/{folder_name(cell.kind)}-{cell.size}-{cell.brightness}"
        words = command(made.folder, guide, num, out, self.seed, cell.kind, self.generator)
        return replace(made, words=words)

    def _masks(
        self, cell: Cell, count: int, wanted: tuple[float, float], own: list[Measure]
    ) -> tuple[PlannedMask, ...]:
        near = [m for m in own if factor_to(m.share, wanted) <= REAL_REACH]
        kind = shape_kind(cell.kind, [i for m in own for i in m.instances])
        found: list[PlannedMask] = []
        for index in range(count):
            rng = numpy_generator(self.seed, "plan", cell.name, index)
            mask = None
            for _ in range(3):
                if near and mask is None:
                    donor = self._donor(near[int(rng.integers(len(near)))].sample)
                    mask = real_mask(donor, wanted, rng, reach=REAL_REACH)
            mask = mask or shaped_mask(kind, self.crop_spec.size, _nearest_part(wanted, own), rng)
            if mask is not None:
                found.append(mask)
        return tuple(found)

    def _donor(self, sample: Sample) -> Donor:
        if sample.name not in self._donors:
            self._donors[sample.name] = Donor(sample.name, read_crop(sample, self.crop_spec)[1])
        return self._donors[sample.name]


def _nearest_part(wanted: tuple[float, float], own: Sequence[Measure]) -> tuple[float, float]:
    """The part of a range of shares that is not far from what a kind really has: up to twice the area of its end."""
    least, most = min(m.share for m in own), max(m.share for m in own)
    low, high = wanted
    return max(low, min(least, high) / 2), min(high, 2 * max(most, low))


def _schema_of(marked: Sequence[Measure]) -> GuideSchema:
    """The guide entries that a generator trained on this set would have, as far as a plan asks for them."""
    several = len({m.sample.label for m in marked}) > 1
    rows: list[dict[str, GuideValue]] = [
        {"brightness": m.brightness, **({"kind": m.sample.label} if several else {})} for m in marked
    ]
    return GuideSchema.fit(rows)
