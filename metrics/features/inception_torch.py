"""Inception in PyTorch: where there is a CUDA device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from metrics.features.inception_network import inception

__all__ = ["TorchInception"]

Folded = Mapping[str, tuple[Tensor, Tensor]]


class TorchInception:
    """Pooled features of scaled images, by PyTorch's kernels in float32.

    Args:
        folded: Weight and bias of every convolution.
        device: Where they are put.
    """

    def __init__(self, folded: Folded, device: torch.device) -> None:
        self._folded = {name: (weight.to(device), bias.to(device)) for name, (weight, bias) in folded.items()}
        self._device = device

    def __call__(self, pixels: Tensor) -> Tensor:
        """(N, 3, 299, 299) in [-1, 1] to (N, 2048)."""
        cudnn = torch.backends.cudnn
        with cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            return inception(self, pixels.to(self._device)).cpu()

    def convolution(self, images: Tensor, names: Sequence[str], *, stride: int, same: bool, rectified: bool) -> Tensor:
        weight = torch.cat([self._folded[name][0] for name in names])
        bias = torch.cat([self._folded[name][1] for name in names])
        padding = (weight.shape[2] // 2, weight.shape[3] // 2) if same else (0, 0)
        images = F.conv2d(images, weight, bias, stride, padding)
        return images.relu_() if rectified else images

    def largest(self, images: Tensor, *, stride: int) -> Tensor:
        return F.max_pool2d(images, 3, stride, padding=1 if stride == 1 else 0)

    def mean(self, images: Tensor) -> Tensor:
        return F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)

    def rectified(self, images: Tensor) -> Tensor:
        return images.relu_()

    def divided(self, images: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
        return torch.split(images, list(sizes), dim=1)

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), dim=1)

    def pooled(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))
