"""The style loss: Gram matrices of four layers of a frozen VGG-16 (Gatys et al.; layers as in Johnson et al. 2016).

The size of a Gram matrix depends on the scale of the activations, so every layer is scaled to mean activation 1 on
real images, whatever the weights; the weight 0.1 then means the same with any VGG.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.networks.layers import area

LAYERS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def gram(features: Tensor) -> Tensor:
    """(N, A, h, w) -> (N, A, A): sums over the B = h w positions of products of two maps, divided by B."""
    flat = features.flatten(2)
    return torch.bmm(flat, flat.transpose(1, 2)).float() / flat.shape[2]


def style_distance(fake: Tensor, real: Tensor) -> Tensor:
    """One level of the source's style term, `1 / (4 A^2 B^2) sum_ij (G_ij - H_ij)^2`, for Gram matrices over B.

    With G already divided by B the factor 1 / B^2 is inside; mean over the batch.
    """
    return (fake - real).pow(2).sum(dim=(1, 2)).mean() / (4 * fake.shape[1] ** 2)


class StyleLoss(nn.Module):
    """Distance of the Gram matrices of relu1_2, relu2_2, relu3_3, relu4_3, each with weight 1 / 4.

    Args:
        weights: `features.N.weight` and `.bias` of VGG-16 up to layer 21, for RGB in [0, 1] normalized by ImageNet's
            mean and std.
        size: side of the copy that the network sees; None for the images' own.
        dtype: of the frozen network.
    """

    mean: Tensor
    std: Tensor
    scales: Tensor

    def __init__(
        self, weights: Mapping[str, Tensor], *, size: int | None = None, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.size = size
        self.dtype = dtype
        self.layout = torch.channels_last
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))
        self.convolutions = nn.ModuleDict()
        for index in (i for level in LAYERS for i in level):
            weight, bias = weights[f"features.{index}.weight"], weights[f"features.{index}.bias"]
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            layer.weight.data, layer.bias.data = weight.float().clone(), bias.float().clone()  # type: ignore[union-attr]
            self.convolutions[str(index)] = layer
        self.requires_grad_(False)
        self.register_buffer("scales", torch.ones(len(LAYERS)))
        self.to(memory_format=torch.channels_last)
        self.convolutions.to(dtype)

    def features(self, images: Tensor) -> list[Tensor]:
        """`images` (N, C, S, S) in [-1, 1] -> the four maps, scaled."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        if self.size is not None and self.size < images.shape[-1]:
            images = area(images, self.size)
        x = ((images.float() + 1) / 2 - self.mean) / self.std
        x = x.to(self.dtype, memory_format=self.layout)
        maps: list[Tensor] = []
        for level, scale in zip(LAYERS, self.scales, strict=True):
            if maps:
                x = F.max_pool2d(x, 2)
            for index in level:
                x = F.relu(self.convolutions[str(index)](x), inplace=True)
            maps.append(x * scale.to(x.dtype))
        return maps

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> list[float]:
        """Scales every layer to mean activation 1 on the given images in [-1, 1]; returns the factors."""
        self.scales.fill_(1.0)
        self.scales.copy_(torch.stack([1 / m.float().mean().clamp_min(1e-6) for m in self.features(images)]))
        return [float(s) for s in self.scales]

    def grams(self, images: Tensor) -> list[Tensor]:
        return [gram(maps) for maps in self.features(images)]

    def forward(self, fake: Tensor, target: list[Tensor]) -> Tensor:
        """Style distance of images in [-1, 1] from Gram matrices given by `grams`."""
        levels = [style_distance(f, t) for f, t in zip(self.grams(fake), target, strict=True)]
        return torch.stack(levels).mean()
