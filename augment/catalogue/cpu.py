"""The engine for one image at a time: carries a plan out on uint8 pixels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.catalogue.config import Border
from augment.catalogue.defect import inside, moved_points, within
from augment.catalogue.lighting import LIGHTING, TABLES, erase, look_up, mix
from augment.catalogue.operations import Erase, Light, Mask, Mix, Partner, Plan, Warp
from augment.catalogue.warping import any_set, warp

__all__ = ["carry_out", "last_pixel"]

Image = NDArray[np.uint8]


def carry_out(
    plan: Plan, image: Image, mask: Mask, border: Border, partners: Sequence[Partner] = ()
) -> tuple[Image, Mask]:
    """Image (H, W, C) and mask (H, W) after all operations of a plan; what nothing was done to is returned itself."""
    before = mask
    table: NDArray[np.uint8] | None = None
    for operation in plan.operations:
        if operation is None:
            continue
        if isinstance(operation, Light) and operation.name in TABLES:
            if table is not None and operation.name == "contrast":  # it needs the levels as they are by now
                image, table = look_up(image, table), None
            following = TABLES[operation.name](image, operation.values)
            table = following if table is None else _joined(table, following)
            continue
        if table is not None:
            image, table = look_up(image, table), None
        if isinstance(operation, Warp):
            image, mask = warp(image, mask, operation, border)
        elif isinstance(operation, Light):
            image = LIGHTING[operation.name](image, operation.values).reshape(image.shape)
        elif isinstance(operation, Mix):
            other, others_mask = partners[operation.partner]
            image, mask = mix(image, other, operation.weight).reshape(image.shape), mask | others_mask
        else:
            image = erase(image, operation)
            if operation.follow:
                left, top, width, height = operation.box
                mask = mask.copy()
                mask[top : top + height, left : left + width] = False
    if table is not None:
        image = look_up(image, table)
    if plan.keep and mask is not before and not any_set(mask) and any_set(before):
        mask = last_pixel(before, plan)
    return image, mask


def last_pixel(mask: Mask, plan: Plan) -> Mask:
    """A mask with the one pixel of a defect that became too small to fill half of any; empty where none is left."""
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


def _joined(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The table that does what two do one after the other; each is (256,) or (1, 256, 3)."""
    if second.ndim == 1:
        return np.asarray(cv2.LUT(first, second), np.uint8).reshape(first.shape)
    if first.ndim == 1:
        return np.ascontiguousarray(second[:, first])
    return np.stack([second[0, first[0, :, c], c] for c in range(3)], 1)[None]
