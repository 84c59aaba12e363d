"""A set of images and an extractor small enough to know the answer by heart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from defects.sample import Sample
from metrics.features.extraction import Extracted

Image = NDArray[np.uint8]


class DummyImages:
    """Images that were never files."""

    def __init__(self, images: list[Image], name: str = "dummy") -> None:
        self.name = name
        self.images = images
        self.samples = [Sample(str(i), Path(f"{name}/{i}.png")) for i in range(len(images))]
        self.given = 0

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, size: int) -> Iterator[Image]:
        for start in range(0, len(self), size):
            self.given += 1
            yield np.stack(self.images[start : start + size])


class MeanExtractor:
    """Features are the channels' means, logits their sums; it notes the size of every batch."""

    name = "mean"
    fingerprint = "mean 1"
    size = 4
    dim = 3
    has_logits = True
    resize = "none"

    def __init__(self) -> None:
        self.batches_given: list[int] = []

    def __call__(self, images: Tensor) -> Extracted:
        assert images.dtype == torch.uint8
        self.batches_given.append(len(images))
        means = images.float().mean((2, 3))
        return Extracted(means, means.sum(1, keepdim=True).expand(-1, 2).contiguous())


def noise(count: int, *, size: int = 4, channels: int = 3, seed: int = 0) -> list[Image]:
    """Different images of one size."""
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (size, size, channels), dtype=np.uint8) for _ in range(count)]
