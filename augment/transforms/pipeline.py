"""The engine for one image at a time: carries a plan out on uint8 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.transforms.config import Border, PipelineConfig
from augment.transforms.geometry import any_set, warp
from augment.transforms.lighting import LIGHTING, TABLES, erase, look_up, mix
from augment.transforms.mask_tracking import inside, moved_points, within
from augment.transforms.operations import Erase, Light, Mask, Mix, Partner, Plan, Warp
from augment.transforms.plan import draw_plan, slots_of
from engine.config import config_names, load_config
from engine.seeding import numpy_generator

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


_UINT8, _BOOL = np.dtype(np.uint8), np.dtype(np.bool_)  # compared with a type, a dtype takes four times as long


def generator_for(seed: int) -> np.random.Generator:
    """The generator of an image's choices, the same for both engines."""
    return numpy_generator(seed, "augment")


class Pipeline:
    """Transforms in order, all choices drawn before any pixel is touched.

    The same generator state gives the same bytes, in any process. Nothing is kept between calls.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self.slots = slots_of(config)

    @classmethod
    def from_preset(cls, name_or_path: str | Path, sets: Sequence[str] = ()) -> Pipeline:
        """A pipeline from a packaged preset or a YAML file.

        Raises:
            UsageError: no such preset or file, or a fault in it; one line.
        """
        return cls(load_config(str(name_or_path), PipelineConfig, sets, folder="augment"))

    def plan(self, mask: Mask, channels: int, rng: np.random.Generator, partners: Sequence[Mask] = ()) -> Plan:
        """Draws what is done to an image with this mask (H, W)."""
        return draw_plan(self.config, self.slots, mask, channels, rng, partners)

    def __call__(
        self, image: Image, mask: Mask, rng: np.random.Generator, partners: Sequence[Partner] = ()
    ) -> tuple[Image, Mask, list[str]]:
        """One image.

        Args:
            image: (H, W, C), C 1 or 3.
            mask: (H, W); all False for a good one.
            rng: where all choices come from.
            partners: (image, mask) of the same shapes for `mixing` to choose from; it is passed over without any. The
                caller sees to it that they are good or of the same kind of defect, since an image has one label.

        Returns:
            Image and mask of the same shapes, and the transforms applied, in order; one that was passed over is listed
            as `name:skipped`. Nothing given is changed; what nothing was done to is returned itself.

        Raises:
            ValueError: the image is not uint8 of 1 or 3 channels, or the mask or a partner does not fit it.
        """
        _check(image, mask)
        for other, others_mask in partners:
            if other.shape != image.shape or others_mask.shape != mask.shape:
                raise ValueError(
                    f"expected partners of shape {image.shape}, got {other.shape} with mask {others_mask.shape}; "
                    "cut them by the same framing"
                )
        plan = self.plan(mask, image.shape[2], rng, [other for _, other in partners] if partners else ())
        image, mask = carry_out(plan, image, mask, self.config.border, partners)
        return image, mask, plan.applied


def _check(image: Image, mask: Mask) -> None:
    if image.dtype != _UINT8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(f"expected a uint8 image (H, W, 1 or 3), got {image.dtype} {image.shape}")
    if mask.dtype != _BOOL or mask.shape != image.shape[:2]:
        raise ValueError(f"expected a bool mask {image.shape[:2]}, got {mask.dtype} {mask.shape}")


def preset_names() -> list[str]:
    """Names that `preset` knows."""
    return config_names("augment")


def preset(name: str) -> Pipeline:
    """A packaged pipeline, or one from a YAML file.

    Raises:
        UsageError: no such preset or file, or a fault in it; one line.
    """
    return Pipeline.from_preset(name)
