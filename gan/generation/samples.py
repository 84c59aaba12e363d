"""The images of a plan in memory: what the Python API takes and returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from engine.runtime.device import repeatable
from gan.generation.jobs import Request
from gan.generation.masks import MaskArrays, MaskList, inspect, list_masks
from gan.generation.plan import Plan

Masks = NDArray[Any] | Sequence[NDArray[Any]] | str | PathLike[str]
Guide = float | str | tuple[float, float] | Sequence[float | str]


@dataclass(frozen=True)
class Samples:
    """Generated images with their labels.

    Attributes:
        images: (N, H, W, C) uint8 with the channels of the generator or, when blended, of the backgrounds: 1 for gray,
            3 for RGB; a list of (H, W, C) where backgrounds differ in size.
        masks: (N, H, W) bool, the pixels of each defect; a list where the images are one.
        attributes: For each image `label` (class), `raw` guide values (lengths in px of the image) and `scaled` ones
            (0..1), and for blended ones `background` and `placement`.
    """

    images: NDArray[np.uint8] | list[NDArray[np.uint8]]
    masks: NDArray[np.bool_] | list[NDArray[np.bool_]]
    attributes: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.attributes)


def array_list(arrays: NDArray[Any] | Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """One array or several as a list."""
    return list(arrays) if isinstance(arrays, list | tuple) else [cast(Any, arrays)]


def masks_of(mask: Masks) -> MaskList:
    """Arrays, or the checked masks of a file or a folder.

    Raises:
        DataError: One cannot be used.
    """
    if not isinstance(mask, str | PathLike):
        return MaskArrays.of(array_list(mask))
    listed = list_masks(Path(mask))
    inspect(listed)
    return listed


def make_request(num: int, seed: int, size: int | None, label: str, guides: Mapping[str, Guide]) -> Request:
    """The request of keyword arguments; guide values become the text of `--guide`.

    Raises:
        UsageError: A value is out of range.
    """

    def text(value: Guide) -> str:
        if isinstance(value, tuple):
            return "..".join(map(str, value))
        return "|".join(map(str, value)) if not isinstance(value, str) and isinstance(value, Sequence) else str(value)

    guide = ",".join(f"{name}={text(value)}" for name, value in guides.items())
    return Request(guide, num, size, seed, label=label)


def generate_samples(plan: Plan, workers: int) -> Samples:
    """All images of a plan, in threads that compute alone, as `gen-defects` does."""
    chunks = [
        range(len(plan.jobs))[start : start + plan.micro_batch] for start in range(0, len(plan.jobs), plan.micro_batch)
    ]
    threads = torch.get_num_threads()
    try:
        with (
            repeatable(plan.sampler.device),
            ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, 1)) as pool,
        ):
            batches = list(pool.map(lambda numbers: plan.generate([plan.jobs[number] for number in numbers]), chunks))
    finally:
        torch.set_num_threads(threads)
    images = [image for batch in batches for image in batch]
    attributes = [
        {"label": image.label, "raw": dict(image.raw), "scaled": dict(image.scaled), **image.columns}
        for image in images
    ]
    pixels, masks = [image.pixels for image in images], [image.mask for image in images]
    if len({array.shape for array in pixels}) > 1:
        return Samples(pixels, masks, attributes)
    return Samples(np.stack(pixels), np.stack(masks), attributes)
