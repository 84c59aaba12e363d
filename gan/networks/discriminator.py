"""The conditional PatchGAN discriminator with a receptive field of 16 x 16 pixels.

A 4 x 4 convolution of stride 2 and two of stride 1 see 4, 10 and 16 pixels. The guide is laid over the image as
constant maps. On more than one scale (not in the paper), the same architecture sees halved versions, where 16 pixels
cover 32 or 64 of the image: without it nothing checks a background as a whole.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan.config import MagnaNetwork
from gan.networks.layers import SLOPE, detail, initialize

LAYERS = ((4, 2), (4, 1), (4, 1))
GAIN = 4.0


class PatchDiscriminator(nn.Module):
    """One scale: (images, masks, guides) -> logits (N, 1, h, w), one for each 16 x 16 patch.

    With spectral normalization the network cannot amplify, yet the grain of a metal surface is a few gray levels: then
    a second first layer sees `detail` and the logits are multiplied by `GAIN`. That layer's 2 x 2 kernel on 3 x 3
    differences covers the very 4 x 4 pixels of the first layer, so that the receptive field stays 16.
    """

    def __init__(self, config: MagnaNetwork, guide_size: int) -> None:
        super().__init__()
        width = config.discriminator_width
        widths = (config.channels + 1 + guide_size, width, 2 * width, 1)
        pairs = list(zip(pairwise(widths), LAYERS, strict=True))
        self.layers = nn.ModuleList(nn.Conv2d(a, b, kernel, stride, 1) for (a, b), (kernel, stride) in pairs)
        self.fine = nn.Conv2d(config.channels, width, 2, stride=2) if config.spectral else None
        batch_norm = config.normalization == "batch" and not config.spectral
        self.norm = nn.BatchNorm2d(2 * width) if batch_norm else nn.Identity()

    def forward(self, images: Tensor, masks: Tensor, guides: Tensor) -> Tensor:
        plane = guides[:, :, None, None].expand(-1, -1, *images.shape[-2:])
        features = self.layers[0](torch.cat([images, masks, plane], dim=1))
        if self.fine is not None:
            features = features + self.fine(detail(images))
        features = F.leaky_relu(features, SLOPE)
        features = F.leaky_relu(self.norm(self.layers[1](features)), SLOPE)
        logits: Tensor = self.layers[2](features)
        return logits * GAIN if self.fine is not None else logits


class MagnaDiscriminator(nn.Module):
    """One `PatchDiscriminator` for each scale."""

    def __init__(self, config: MagnaNetwork, guide_size: int) -> None:
        super().__init__()
        scales = [PatchDiscriminator(config, guide_size) for _ in range(config.discriminator_scales)]
        self.scales = nn.ModuleList(scales)
        initialize(self, config.init_std)
        if config.spectral:
            for layer in (layer for scale in scales for layer in (*scale.layers, scale.fine) if layer is not None):
                spectral_norm(layer)

    def forward(self, images: Tensor, masks: Tensor, guides: Tensor) -> list[Tensor]:
        """`images` (N, C, S, S) in [-1, 1], `masks` (N, 1, S, S), `guides` (N, G) -> logits of each scale."""
        logits = []
        for index, scale in enumerate(self.scales):
            if index:
                images, masks = F.avg_pool2d(images, 2), F.avg_pool2d(masks, 2)
            logits.append(scale(images, masks, guides))
        return logits
