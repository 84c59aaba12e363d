"""The discriminator of Magna-Blend: it sees a composite with its mask, and only the patches around the defect count.

Everything further away is real in either case, so those patches would only dilute the loss. It does not see the
background alone: in a training pair that is inpainted, and the traces of inpainting would give a real image away.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan.config import BlendNetwork
from gan.networks.discriminator import GAIN
from gan.networks.layers import SLOPE, detail, initialize

LAYERS = ((4, 2), (4, 2), (4, 1), (4, 1))
"""(kernel, stride): patches of 34 x 34 pixels, on the halved image 68 x 68."""
NEAR = 6
"""Px around the mask that count as near."""
FAR_WEIGHT = 0.02


class ScaleOutput(NamedTuple):
    """Of one scale: `logits` (N, 1, h, w) and the maps of its inner layers."""

    logits: Tensor
    features: list[Tensor]

    def after(self, first: int) -> ScaleOutput:
        """Without the first images."""
        return ScaleOutput(self.logits[first:], [features[first:] for features in self.features])


class BlendScale(nn.Module):
    """One scale of the discriminator; the guide shifts its first layer and is projected on its last (Miyato 2018)."""

    def __init__(self, config: BlendNetwork, guide_size: int) -> None:
        super().__init__()
        width = config.discriminator_width
        widths = (2 * config.channels + 1, width, 2 * width, 2 * width)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, kernel, stride, 1)
            for (a, b), (kernel, stride) in zip(pairwise(widths), LAYERS[:3], strict=True)
        )
        self.last = nn.Conv2d(widths[-1], 1, LAYERS[3][0], LAYERS[3][1], 1)
        self.guide = nn.Linear(guide_size, width)
        self.project = nn.Linear(guide_size, widths[-1], bias=False)

    def forward(self, images: Tensor, masks: Tensor, guides: Tensor) -> ScaleOutput:
        features = torch.cat([images, detail(images), 2 * masks - 1], dim=1)
        maps: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            features = layer(features)
            if number == 0:
                features = features + self.guide(guides)[:, :, None, None]
            features = F.leaky_relu(features, SLOPE)
            maps.append(features)
        agreed = (features * self.project(guides)[:, :, None, None]).mean(dim=1, keepdim=True)
        logits = GAIN * self.last(features)
        return ScaleOutput(logits + F.avg_pool2d(agreed, LAYERS[3][0], 1, 1), maps)


class BlendDiscriminator(nn.Module):
    """One `BlendScale` for each scale."""

    def __init__(self, config: BlendNetwork, guide_size: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(BlendScale(config, guide_size) for _ in range(config.discriminator_scales))
        initialize(self, config.init_std)
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear) and config.spectral:
                spectral_norm(module)

    def forward(self, images: Tensor, masks: Tensor, guides: Tensor) -> list[ScaleOutput]:
        """`images` (N, C, H, W) in [-1, 1], `masks` (N, 1, H, W), `guides` (N, G) -> the output of each scale."""
        outputs = []
        for index, scale in enumerate(self.scales):
            if index:
                images, masks = F.avg_pool2d(images, 2), F.avg_pool2d(masks, 2)
            outputs.append(scale(images, masks, guides))
        return outputs


def nearness(near: Tensor, shape: tuple[int, int]) -> Tensor:
    """The weight of each patch: (N, 1, h, w), summing to 1 for every image, so that a speck counts like a stain.

    `near` (N, 1, H, W) is 1 within `NEAR` px of the mask.
    """
    weights = F.adaptive_avg_pool2d(near, shape) + FAR_WEIGHT
    total: Tensor = weights.sum(dim=(2, 3), keepdim=True)
    return weights / total
