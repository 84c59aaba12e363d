"""Groups of one fixed size, the last one filled up, since a kernel's rounding depends on the size of its batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from metrics.features.extractor import Extracted

__all__ = ["in_micro_batches", "refuse_other_images"]


def in_micro_batches(network: Callable[[Tensor], Extracted], images: Tensor, count: int) -> Extracted:
    """Runs a network on `count` images at a time; (N, 3, H, W) to (N, D) and (N, K).

    Raises:
        ValueError: `images` is no batch of uint8 RGB images.
    """
    refuse_other_images(images)
    parts = []
    for start in range(0, len(images), count):
        group = images[start : start + count]
        kept = len(group)
        if kept < count:
            group = torch.cat([group, group[:1].expand(count - kept, -1, -1, -1)])
        features, logits = network(group)
        parts.append(Extracted(features[:kept], None if logits is None else logits[:kept]))
    every_logits = [part.logits for part in parts if part.logits is not None]
    return Extracted(torch.cat([part.features for part in parts]), torch.cat(every_logits) if every_logits else None)


def refuse_other_images(images: Tensor) -> None:
    """Raises ValueError unless the tensor is uint8 (N, 3, H, W) with at least one image."""
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3 or not images.numel():
        raise ValueError(
            f"expected uint8 images (N, 3, H, W), got {images.dtype} {tuple(images.shape)}; repeat grey three times"
        )
