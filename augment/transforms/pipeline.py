"""The engine for one image at a time: applies a plan to uint8 pixels; and a pipeline with both engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.transforms.catalog import PipelineConfig
from augment.transforms.geometry import Border, Light, Mask, Mix, Partner, Plan, Warp, any_set, warp
from augment.transforms.lighting import LIGHTING, TABLES, erase, look_up, mix
from augment.transforms.plan import draw_plan, generator_for, last_pixel, slots_of
from defects.sample import Image
from engine.config import load_config
from engine.errors import UsageError

if TYPE_CHECKING:
    import torch

    from augment.transforms.batch import Batch

_UINT8, _BOOL = np.dtype(np.uint8), np.dtype(np.bool_)  # compared with a type, a dtype takes four times as long


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


def _joined(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The table that does what two do one after the other; each is (256,) or (1, 256, 3)."""
    if second.ndim == 1:
        return np.asarray(cv2.LUT(first, second), np.uint8).reshape(first.shape)
    if first.ndim == 1:
        return np.ascontiguousarray(second[:, first])
    return np.stack([second[0, first[0, :, c], c] for c in range(3)], 1)[None]


class Pipeline:
    """Transforms in order: all random choices are sampled, then applied.

    The same generator state gives the same bytes, in any process. A pipeline has no state of its own.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self.slots = slots_of(config)

    @classmethod
    def from_preset(cls, name_or_path: str | Path, sets: Sequence[str] = (), *, of_features: bool = False) -> Pipeline:
        """A pipeline from a packaged preset or a YAML file.

        Args:
            name_or_path: Of the preset.
            sets: Changes such as `min_defect_share=0.9`.
            of_features: Whether features are trained on, so that points can be added to them.

        Raises:
            UsageError: There is no such preset or file, it has an error, or it adds points to features and images are
                trained on.
        """
        config = load_config(str(name_or_path), PipelineConfig, sets, folder="augment")
        if config.feature_space is not None and not of_features:
            what = (
                f"preset {name_or_path}: feature_space adds points to the features of a frozen backbone, and images "
                "are trained on here; use it in bench-utility --mode frozen, or leave feature_space out"
            )
            raise UsageError(what, code="E-augment-feature-space")
        return cls(config)

    def plan(self, mask: Mask, channels: int, rng: np.random.Generator, partners: Sequence[Mask] = ()) -> Plan:
        """Samples what is done to an image with this mask (H, W)."""
        return draw_plan(self.config, self.slots, mask, channels, rng, partners)

    def __call__(
        self, image: Image, mask: Mask, rng: np.random.Generator, partners: Sequence[Partner] = ()
    ) -> tuple[Image, Mask, list[str]]:
        """Augments one image.

        Args:
            image: (H, W, C) uint8, C 1 or 3.
            mask: (H, W) bool; all False for a good image.
            rng: Source of all random choices.
            partners: (image, mask) of the same shapes for `mixing`, which is skipped without any. They must be good or
                of the same class, since an image has one label.

        Returns:
            Image and mask of the same shapes, and the names of the transforms applied, in order; a skipped one is
            listed as `name:skipped`. Without a change the arguments themselves are returned.

        Raises:
            ValueError: The image is not uint8 of 1 or 3 channels, or the mask or a partner does not fit it.
        """
        _check(image, mask)
        for other, others_mask in partners:
            if other.shape != image.shape or others_mask.shape != mask.shape:
                raise ValueError(
                    f"expected partners of shape {image.shape}, got {other.shape} with mask {others_mask.shape}; "
                    "crop them to the same size"
                )
        plan = self.plan(mask, image.shape[2], rng, [other for _, other in partners] if partners else ())
        image, mask = carry_out(plan, image, mask, self.config.border, partners)
        return image, mask, plan.applied

    def batch(
        self,
        images: torch.Tensor,
        masks: torch.Tensor,
        *,
        seeds: Sequence[int] | None = None,
        device: str | torch.device | None = None,
        partners: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> Batch:
        """Augments a batch of tensors, on a device.

        Args:
            images: (N, C, H, W), float in [0, 1], C 1 or 3.
            masks: (N, 1, H, W), 0 or 1.
            seeds: One for each image, 0 to N - 1 by default: image i is augmented as by a call with
                `generator_for(seeds[i])`, except for rounded gray levels.
            device: Where to compute, `auto` for a GPU if there is one; None for that of the images.
            partners: Images (M, C, H, W) and masks (M, 1, H, W) for `mixing`; by default others of the batch.

        Returns:
            `images` and `masks` of the same shapes, on the device, and `applied`, the names of the transforms.

        Raises:
            ValueError: Shapes, types or the number of seeds do not fit together.
        """
        from augment.transforms.batch import apply_batch
        from engine.runtime.device import select_device

        where = images.device if device is None else select_device(str(device))
        if partners is not None:
            partners = partners[0].to(where), partners[1].to(where)
        generators = [generator_for(seed) for seed in (range(len(images)) if seeds is None else seeds)]
        return apply_batch(self.config, self.slots, images.to(where), masks.to(where), generators, partners)

    def batch_uint8(
        self,
        images: Sequence[Image],
        masks: Sequence[Mask],
        generators: Sequence[np.random.Generator],
        device: str | torch.device,
    ) -> list[tuple[Image, Mask, list[str]]]:
        """Augments images (H, W, C) uint8 of one shape, with their masks (H, W), as one batch on a device.

        For the same generators as a call for each of them, except that gray levels may differ by a rounding.
        """
        import torch

        from augment.transforms.batch import apply_batch
        from engine.runtime.device import select_device

        where = select_device(device) if isinstance(device, str) else device
        tensors = torch.from_numpy(np.stack(images)).to(where).permute(0, 3, 1, 2).float() / 255
        bools = torch.from_numpy(np.stack(masks))[:, None].to(where).float()
        # Without partners: others of the batch may be of another class.
        batch = apply_batch(self.config, self.slots, tensors, bools, generators, (tensors[:0], bools[:0]))
        levels = (batch.images * 255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        marked = (batch.masks[:, 0] >= 0.5).cpu().numpy()
        return [(levels[i], marked[i], batch.applied[i]) for i in range(len(levels))]


def _check(image: Image, mask: Mask) -> None:
    if image.dtype != _UINT8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(f"expected a uint8 image (H, W, 1 or 3), got {image.dtype} {image.shape}")
    if mask.dtype != _BOOL or mask.shape != image.shape[:2]:
        raise ValueError(f"expected a bool mask {image.shape[:2]}, got {mask.dtype} {mask.shape}")


def load_preset(name_or_path: str | Path, *, of_features: bool = False) -> Pipeline:
    """A pipeline from a packaged preset or a YAML file, as `Pipeline.from_preset`.

    >>> import numpy as np
    >>> image, mask = np.zeros((8, 8, 1), np.uint8), np.zeros((8, 8), bool)
    >>> image, mask, applied = load_preset("flips")(image, mask, np.random.default_rng(0))
    """
    return Pipeline.from_preset(name_or_path, of_features=of_features)
