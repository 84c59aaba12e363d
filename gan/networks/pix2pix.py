"""Pix2Pix, a baseline: a U-Net from the mask to the image and a discriminator of 70 x 70 patches.

Isola et al., Image-to-image translation with conditional adversarial networks, CVPR 2017, section 6.1. Its noise is
dropout, also at generation. Instances are normalized, which is what its batch normalization does at its batch size of
1, so that an image does not depend on its batch. The guide is not used: the paper gives the baselines the mask only.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.config import Pix2PixNetwork
from gan.networks.layers import SLOPE
from gan.networks.magna_generator import Noise

LAYERS = ((4, 2), (4, 2), (4, 2), (4, 1), (4, 1))
"""(kernel, stride) of the discriminator: each logit sees 70 x 70 pixels."""
DROPPED = 3


class Pix2PixGenerator(nn.Module):
    """`masks` (N, 1, S, S) to images (N, C, S, S) in [-1, 1], through a bottleneck of one pixel.

    Args:
        config: `width` channels after the first convolution, doubled up to `max_width` (paper: 64, 512).
        guide_size: length of guide vectors, which are ignored.
    """

    latent = None

    def __init__(self, config: Pix2PixNetwork, guide_size: int) -> None:
        super().__init__()
        self.config, self.guide_size = config, guide_size
        steps = config.size.bit_length() - 1
        widths = [min(config.max_width, config.width * 2**k) for k in range(steps)]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise([1, *widths]))
        outs = [*reversed(widths[:-1]), config.channels]
        ins = [widths[-1], *(2 * out for out in outs[:-1])]
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in zip(ins, outs, strict=True))
        self.dropped = [(outs[k], 2 ** (k + 1)) for k in range(min(DROPPED, steps - 2))]
        initialize_weights(self)

    def forward(
        self,
        masks: Tensor,
        noise: Noise,
        guides: Tensor,  # noqa: ARG002
        *,
        encoded: bool = False,  # noqa: ARG002
    ) -> Tensor:
        """Generates images; `noise.texture` holds a map (N, B, h, w) a dropped layer; its negative half drops."""
        maps: list[Tensor] = []
        features = masks * 2 - 1
        for index, layer in enumerate(self.down):
            features = layer(F.leaky_relu(features, SLOPE) if index else features)
            if 0 < index < len(self.down) - 1:
                features = F.instance_norm(features)
            maps.append(features)
        features = maps.pop()
        for index, layer in enumerate(self.up):
            features = layer(F.relu(features))
            if index == len(self.up) - 1:
                break
            features = F.instance_norm(features)
            if index < len(noise.texture):
                features = features * (noise.texture[index] > 0) * 2
            features = torch.cat([features, maps.pop()], dim=1)
        return torch.tanh(features)

    def sample_noise(self, generators: Sequence[torch.Generator]) -> Noise:
        """Noise of len(generators) images, each from its own generator."""
        rows = [self.draw_noise(1, generator) for generator in generators]
        textures = zip(*(row.texture for row in rows), strict=True)
        return Noise(torch.cat([row.latent for row in rows]), tuple(torch.cat(maps) for maps in textures))

    def draw_noise(self, count: int, generator: torch.Generator) -> Noise:
        """Noise of a training step, all from one generator."""
        device = generator.device
        maps = (torch.randn(count, c, s, s, generator=generator, device=device) for c, s in self.dropped)
        return Noise(torch.zeros(count, 0, device=device), tuple(maps))


class DeepPatchDiscriminator(nn.Module):
    """Images (N, C, H, W) to logits, one for each 70 x 70 patch.

    Args:
        channels: C: of the image and, in Pix2Pix, of the mask before it.
        width: channels after the first convolution (paper: 64).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = (channels, width, 2 * width, 4 * width, 8 * width, 1)
        pairs = zip(pairwise(widths), LAYERS, strict=True)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, kernel, stride, 1) for (a, b), (kernel, stride) in pairs)
        initialize_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        features = F.leaky_relu(self.layers[0](images), SLOPE)
        for layer in list(self.layers)[1:-1]:
            features = F.leaky_relu(F.instance_norm(layer(features)), SLOPE)
        logits: Tensor = self.layers[-1](features)
        return logits


def initialize_weights(network: nn.Module) -> None:
    """Weights from N(0, 0.02) and biases 0, as both baselines begin."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
