"""A pipeline on the CPU: image and mask in, image and mask and the names of what was done out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augment.catalogue.config import PipelineConfig
from augment.catalogue.cpu import carry_out
from augment.catalogue.operations import Mask, Partner, Plan
from augment.catalogue.plan import draw_plan, slots_of
from engine.config import load_config
from engine.seeding import numpy_generator

__all__ = ["Pipeline", "generator_for"]

Image = NDArray[np.uint8]

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
