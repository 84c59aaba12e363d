"""Drawing a plan: every random choice of a pipeline for one image, made before any pixel is touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from augment.transforms.catalog import Transform, Uniforms
from augment.transforms.config import PipelineConfig, StepConfig
from augment.transforms.mask_tracking import Defect
from augment.transforms.operations import (
    IDENTITY,
    Erase,
    Light,
    Mask,
    Mix,
    Operation,
    Plan,
    Warp,
    after,
    flips_of,
    matrix_of,
)

# Steps with their catalogue entries; moves that follow one another share a slot, any other step has one of its own.
Slot = tuple[tuple[StepConfig, Transform], ...]


def slots_of(config: PipelineConfig) -> tuple[Slot, ...]:
    """The slots of a pipeline, in order."""
    slots: list[list[tuple[StepConfig, Transform]]] = []
    for step in config.steps:
        kind = step.kind
        if slots and kind.moves and slots[-1][-1][1].moves:
            slots[-1].append((step, kind))
        else:
            slots.append([(step, kind)])
    return tuple(tuple(slot) for slot in slots)


def draw_plan(
    config: PipelineConfig,
    slots: Sequence[Slot],
    mask: Mask,
    channels: int,
    rng: np.random.Generator,
    partners: Sequence[Mask] = (),
) -> Plan:
    """Draws what is done to one image.

    Args:
        config: the pipeline.
        slots: its slots.
        mask: (H, W), what must not be lost.
        channels: of the image.
        rng: where all choices come from.
        partners: masks of the pictures that `mixing` may take.
    """
    draw = Uniforms(rng)
    defect = Defect(mask, config.min_defect_kept, config.border)
    applied: list[str] = []
    operations: list[Operation | None] = []
    for slot in slots:
        first = slot[0][1]
        if first.moves:
            operations.append(_draw_moves(slot, config.redraws, defect, mask.shape, draw, applied))
            continue
        step = slot[0][0]
        operation: Operation | None = None
        if draw() < step.p:
            if first.name == "random_erasing":
                operation = _draw_box(step, first, config.redraws, defect, draw)
            elif first.name == "mixing":
                operation = _draw_partner(step, first, defect, partners, draw)
            elif channels == 3 or not first.color:
                operation = Light(first.name, first.draw(step.settings, draw))
            applied.append(first.name if operation is not None else f"{first.name}:skipped")
        operations.append(operation)
    return Plan(tuple(operations), applied, config.min_defect_kept > 0)


def _draw_moves(
    slot: Slot, redraws: int, defect: Defect, shape: tuple[int, ...], draw: Uniforms, applied: list[str]
) -> Warp | None:
    defect.settle()
    matrix = IDENTITY
    for step, kind in slot:
        if draw() >= step.p:
            continue
        for _ in range(redraws + 1):
            moved = after(matrix_of(kind.name, kind.draw(step.settings, draw), shape[0], shape[1]), matrix)
            if not kind.loses or defect.survives(moved):
                matrix = moved
                applied.append(kind.name)
                break
        else:
            applied.append(f"{kind.name}:skipped")
    if matrix is IDENTITY:
        return None
    defect.matrix = matrix
    return Warp(matrix, flips_of(matrix, shape[0], shape[1]))


def _draw_box(step: StepConfig, kind: Transform, redraws: int, defect: Defect, draw: Uniforms) -> Erase | None:
    mask = defect.settle()
    height, width = mask.shape
    for _ in range(redraws + 1):
        values = kind.draw(step.settings, draw)
        area = values["area"] * height * width
        down = min(height, max(1, round((area * values["aspect"]) ** 0.5)))
        across = min(width, max(1, round(area / down)))
        place = _place(mask, down, across, draw, values)
        if place is None:
            continue
        box = (*place, across, down)
        follow = values["defect"] == "follow"
        if not follow or defect.survives_box(box):
            if follow:
                defect.cover(box)
            return Erase(box, values["fill"], values["field"], values["bank"], follow)
    return None


def _place(mask: Mask, down: int, across: int, draw: Uniforms, values: dict[str, Any]) -> tuple[int, int] | None:
    """Left and top of a box, evenly among all places; among those that touch no defect where it is spared."""
    height, width = mask.shape
    rows, columns = height - down + 1, width - across + 1
    at, chance = None, draw()
    if values["defect"] == "spare" and mask.any():
        sums = cv2.integral(mask.view(np.uint8))
        covered = sums[down:, across:] - sums[:rows, across:] - sums[down:, :columns] + sums[:rows, :columns]
        free = np.flatnonzero(covered == 0)
        if not len(free):
            return None
        at = int(free[int(chance * len(free))])
    else:
        at = int(chance * rows * columns)
    return at % columns, at // columns


def _draw_partner(
    step: StepConfig, kind: Transform, defect: Defect, partners: Sequence[Mask], draw: Uniforms
) -> Mix | None:
    values = kind.draw(step.settings, draw)
    if not partners:
        return None
    partner = int(draw() * len(partners))
    defect.settle()
    defect.join(partners[partner])
    return Mix(partner, values["weight"])
