"""Drawing a plan: every random choice of a pipeline for one image, before any pixel changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from augment.transforms.catalog import PipelineConfig, StepConfig, Transform
from augment.transforms.geometry import (
    IDENTITY,
    Border,
    Box,
    Erase,
    Light,
    Mask,
    Matrix,
    Mix,
    Operation,
    Plan,
    Points,
    Warp,
    after,
    flips_of,
    inside,
    matrix_of,
    moved_points,
    warp_mask,
    within,
)
from engine.seeding import numpy_generator

_MOST = 4096  # pixels of a defect that are tracked; of a larger one every n-th

Corners = tuple[tuple[float, float], ...]
# Steps with their catalog entries; camera transforms that follow one another share a slot, any other has its own.
Slot = tuple[tuple[StepConfig, Transform], ...]


class Uniforms:
    """Numbers in [0, 1) from a generator, sampled in blocks: a tenth of the time of single draws."""

    __slots__ = ("_block", "_rng")

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._block: list[float] = []

    def __call__(self) -> float:
        if not self._block:
            self._block = self._rng.random(32).tolist()
        return self._block.pop()


class Defect:
    """The pixels of a mask, tracked through warps and erasing.

    Camera transforms are collected as one matrix and applied by `settle`: what one of them moves out of the image and
    the next moves back is not lost.
    """

    def __init__(self, mask: Mask, least: float, border: Border) -> None:
        self.matrix = IDENTITY
        self._mask = mask
        self._least = least
        self._border: Border = border
        self._points: Points | None = None
        self._count = 0
        self._found: Corners | None = None if least else ()

    def survives(self, matrix: Matrix) -> bool:
        """Whether enough of the defect would stay in the image under one matrix of all transforms so far."""
        if not self._corners or self._whole(matrix):
            return True
        points = self._tracked()
        return bool(inside(points, matrix, self._mask.shape).sum() >= self._least * self._count)

    def survives_box(self, box: Box) -> bool:
        """Whether enough would stay uncovered by a box; after `settle`."""
        if not self._corners:
            return True
        points = self._tracked()
        return bool((~within(points, box)).sum() >= self._least * self._count)

    def settle(self) -> Mask:
        """Applies the transforms and returns the mask."""
        if self.matrix is not IDENTITY:
            if self._corners:
                points = self._tracked()
                self._points = moved_points(points[:, inside(points, self.matrix, self._mask.shape)], self.matrix)
            move = Warp(self.matrix, flips_of(self.matrix, *self._mask.shape))
            self._mask, self.matrix = warp_mask(self._mask, move, self._border), IDENTITY
        return self._mask

    def cover(self, box: Box) -> None:
        """Removes the defect under the box; after `settle`."""
        if self._corners:
            points = self._tracked()
            self._points = points[:, ~within(points, box)]
        left, top, width, height = box
        self._mask = self._mask.copy()
        self._mask[top : top + height, left : left + width] = False

    def join(self, mask: Mask) -> None:
        """Adds another image's defects, and tracks all of them from here; after `settle`."""
        self._mask = self._mask | mask
        self._points, self._found = None, None if self._least else ()

    @property
    def _corners(self) -> Corners:
        """Corners (x, y) of the defect's original box; none without a defect, or where any loss is allowed."""
        if self._found is None:
            self._found = _corners(self._mask)
        return self._found

    def _tracked(self) -> Points:
        if self._points is None:
            ys, xs = np.nonzero(self._mask)
            stride = -(-len(xs) // _MOST) or 1
            self._points = np.stack((xs[::stride], ys[::stride])).astype(np.float64)
            self._count = self._points.shape[1]
        return self._points

    def _whole(self, matrix: Matrix) -> bool:
        """Whether the corners of the untouched defect's box stay in the image, and so all of it."""
        if self._points is not None and self._points.shape[1] < self._count:
            return False
        corners = self._corners if self._points is None else _corners_of(self._points)
        a, b, c, d, e, f, g, h, i = matrix
        right, bottom = self._mask.shape[1] - 0.5, self._mask.shape[0] - 0.5
        for x, y in corners:
            w = g * x + h * y + i
            if w <= 0 or not (-0.5 * w <= a * x + b * y + c <= right * w):
                return False
            if not (-0.5 * w <= d * x + e * y + f <= bottom * w):
                return False
        return True


def _corners(mask: Mask) -> Corners:
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return ()
    right, bottom = left + width - 1, top + height - 1
    return (left, top), (right, top), (left, bottom), (right, bottom)


def _corners_of(points: Points) -> Corners:
    (left, top), (right, bottom) = points.min(1).tolist(), points.max(1).tolist()
    return (left, top), (right, top), (left, bottom), (right, bottom)


def generator_for(seed: int) -> np.random.Generator:
    """The source of an image's random choices, the same for both engines."""
    return numpy_generator(seed, "augment")


def slots_of(config: PipelineConfig) -> tuple[Slot, ...]:
    """The slots of a pipeline, in order."""
    slots: list[list[tuple[StepConfig, Transform]]] = []
    for step in config.steps:
        entry = step.entry
        if slots and entry.moves and slots[-1][-1][1].moves:
            slots[-1].append((step, entry))
        else:
            slots.append([(step, entry)])
    return tuple(tuple(slot) for slot in slots)


def draw_plan(
    config: PipelineConfig,
    slots: Sequence[Slot],
    mask: Mask,
    channels: int,
    rng: np.random.Generator,
    partners: Sequence[Mask] = (),
) -> Plan:
    """Samples the operations on one image.

    Args:
        config: the pipeline.
        slots: its slots.
        mask: (H, W), the defect that must not be lost.
        channels: of the image.
        rng: source of all random choices.
        partners: masks of the images that `mixing` may take.
    """
    draw = Uniforms(rng)
    defect = Defect(mask, config.min_defect_share, config.border)
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
    return Plan(tuple(operations), applied, config.min_defect_share > 0)


def _draw_moves(
    slot: Slot, redraws: int, defect: Defect, shape: tuple[int, ...], draw: Uniforms, applied: list[str]
) -> Warp | None:
    defect.settle()
    matrix = IDENTITY
    for step, entry in slot:
        if draw() >= step.p:
            continue
        for _ in range(redraws + 1):
            moved = after(matrix_of(entry.name, entry.draw(step.settings, draw), shape[0], shape[1]), matrix)
            if not entry.loses or defect.survives(moved):
                matrix = moved
                applied.append(entry.name)
                break
        else:
            applied.append(f"{entry.name}:skipped")
    if matrix is IDENTITY:
        return None
    defect.matrix = matrix
    return Warp(matrix, flips_of(matrix, shape[0], shape[1]))


def _draw_box(step: StepConfig, entry: Transform, redraws: int, defect: Defect, draw: Uniforms) -> Erase | None:
    mask = defect.settle()
    height, width = mask.shape
    for _ in range(redraws + 1):
        values = entry.draw(step.settings, draw)
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
    """Left and top of a box, uniformly among all positions, or among those off the defect where it is spared."""
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
    step: StepConfig, entry: Transform, defect: Defect, partners: Sequence[Mask], draw: Uniforms
) -> Mix | None:
    values = entry.draw(step.settings, draw)
    if not partners:
        return None
    partner = int(draw() * len(partners))
    defect.settle()
    defect.join(partners[partner])
    return Mix(partner, values["weight"])


def last_pixel(mask: Mask, plan: Plan) -> Mask:
    """A mask with one pixel of a defect that became too small to fill half of any; empty where none is left."""
    ys, xs = np.nonzero(mask)
    points = np.stack((xs, ys)).astype(np.float64)
    for operation in plan.operations:
        if isinstance(operation, Warp):
            points = moved_points(points[:, inside(points, operation.matrix, mask.shape)], operation.matrix)
        elif isinstance(operation, Erase) and operation.follow:
            points = points[:, ~within(points, operation.box)]
    result = np.zeros_like(mask)
    if points.shape[1]:
        x, y = points[:, points.shape[1] // 2]
        result[min(mask.shape[0] - 1, max(0, round(y))), min(mask.shape[1] - 1, max(0, round(x)))] = True
    return result
