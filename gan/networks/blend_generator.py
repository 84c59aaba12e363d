"""Magna-Blend: background, mask, noise and guide to `(1 - alpha) * background + alpha * defect`.

A U-Net without a map of fixed size, so that a crop may have any sides divisible by `stride`: background and mask come
in, noise and guide modulate every decoder stage, injected noise gives fine texture, and two heads give the change of
the background and the softness of the defect's edge.

`alpha` is a logistic function of the signed distance from the mask's edge plus a learned part that is always smaller
than the distance's own: alpha >= 1/2 holds on the mask's pixels and nowhere else, whatever the weights are. From
`blend_radius` px outside the mask on alpha is exactly 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defects.attributes.guide import GuideSchema
from gan.config import BlendNetwork
from gan.networks.layers import SLOPE, Convolution, Down, Up, initialize
from gan.networks.magna_generator import LatentPlacement, Noise, stage_channels

LEVELS = 4
CODE = 128
SHARPNESS = 1.5
"""Logits of alpha for each px of distance."""
SOFTNESS = 2.0
"""Most logits of alpha that the network adds or takes."""


class Blended(NamedTuple):
    """The generator's output: `images` (N, C, H, W) in [-1, 1] and `alpha` (N, 1, H, W) in [0, 1], both float32."""

    images: Tensor
    alpha: Tensor


def alpha_of(distances: Tensor, soft: Tensor, blend_radius: float) -> Tensor:
    """Opacity, float32, from signed distances and the network's share.

    Args:
        distances: (N, 1, H, W) px from the mask's edge to a pixel's center; positive inside, never 0.
        soft: (N, 1, H, W) any number.
        blend_radius: px from which on the result is 0.
    """
    distances = distances.float()
    sharp = SHARPNESS * distances
    added = torch.tanh(soft.float()) * (0.8 * sharp.abs()).clamp_max(SOFTNESS)
    return torch.sigmoid(sharp + added) * ((blend_radius + distances) / 2).clamp(0, 1)


def blend(backgrounds: Tensor, change: Tensor, alpha: Tensor) -> Tensor:
    """`(1 - alpha) * background + alpha * defect`, defect = background + change clipped to [-1, 1].

    The gradient passes the limits, so that a saturated pixel can come back.
    """
    defect = backgrounds + change
    defect = defect + (defect.clamp(-1, 1) - defect).detach()
    return backgrounds + alpha * (defect - backgrounds)


class BlendGenerator(nn.Module):
    """The generator.

    Args:
        config: shapes.
        guide_size: length G of the guide vector.
        classes: columns of the guide vector that hold the defect's class, (first, end).
    """

    def __init__(self, config: BlendNetwork, guide_size: int, classes: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.config, self.guide_size, self.blend_radius = config, guide_size, float(config.blend_radius)
        self.side = config.crop or config.size
        self.levels = min(LEVELS, self.side.bit_length() - 3)
        self.stride = 2**self.levels
        widths = stage_channels(config)[: self.levels + 1]
        self.enter = Convolution(config.channels + 2, widths[0], 3, padding=config.padding)
        self.down = nn.ModuleList(Down(a, b, padding=config.padding) for a, b in pairwise(widths))
        self.mapping = nn.Linear(config.latent + guide_size, CODE)
        self.stages = nn.ModuleList(
            Up(
                widths[min(k + 1, self.levels)],
                widths[k],
                widths[k],
                CODE,
                norm="pixel" if k >= 2 else None,
                modulation=config.modulation,
                noise_injection=config.noise_injection,
                directional_noise=config.directional_noise,
                padding=config.padding,
            )
            for k in range(self.levels, -1, -1)
        )
        self.to_change = Convolution(widths[0], config.channels, 3, padding=config.padding)
        self.to_soft = Convolution(widths[0], 1, 3, padding=config.padding)
        self.latent = LatentPlacement(config.latent, classes)
        initialize(self, config.init_std)
        for head in (self.to_change, self.to_soft):
            head.weight.data *= 0.1

    @classmethod
    def from_schema(cls, config: BlendNetwork, schema: GuideSchema) -> BlendGenerator:
        """An untrained generator for the guides of a schema."""
        return cls(config, schema.size, schema.columns("kind"))

    def forward(
        self, backgrounds: Tensor, distances: Tensor, noise: Noise, guides: Tensor, *, encoded: bool = False
    ) -> Blended:
        """Generates defects.

        Args:
            backgrounds: (N, C, H, W) in [-1, 1]; H and W are multiples of `stride`.
            distances: (N, 1, H, W) signed px from the edge of the mask, see `alpha_of`.
            noise: standard normal.
            guides: (N, G).
            encoded: the latent noise comes from the encoder of real defects and is already placed.
        """
        change, soft = self.decode(backgrounds, distances, noise, guides, encoded=encoded)
        alpha = alpha_of(distances, soft, self.blend_radius)
        return Blended(blend(backgrounds.float(), change, alpha), alpha)

    def decode(
        self, backgrounds: Tensor, distances: Tensor, noise: Noise, guides: Tensor, *, encoded: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The change of the background, (N, C, H, W) in -2..2, and the learned part of alpha (N, 1, H, W), float32."""
        latent = noise.latent if encoded else self.latent(noise.latent, guides)
        code = F.leaky_relu(self.mapping(torch.cat([latent, guides], dim=1)), SLOPE)
        dtype = self.enter.weight.dtype
        near = (distances / 8).clamp(-1, 1)
        fields = torch.cat([backgrounds, (distances > 0).to(near.dtype), near], dim=1).to(dtype)
        maps = [F.leaky_relu(self.enter(fields), SLOPE)]
        for stage in self.down:
            maps.append(stage(maps[-1]))
        features = maps[-1]
        textures: Sequence[Tensor | None] = noise.texture or (None,) * (self.levels + 1)
        for stage, skip, texture in zip(self.stages, reversed(maps), textures, strict=True):
            features = stage(features, skip, code, texture)
        return 2 * torch.tanh(self.to_change(features).float()), self.to_soft(features).float()

    def texture_sides(self, height: int, width: int) -> list[tuple[int, int]]:
        """(height, width) of the texture maps for a crop, first stage first; empty when the network uses none."""
        if not self.config.noise_injection:
            return []
        return [(height >> k, width >> k) for k in range(self.levels, -1, -1)]

    def draw_noise(self, count: int, generator: torch.Generator, height: int = 0, width: int = 0) -> Noise:
        """Noise for `count` crops, all from one generator; without sides for the crops of training."""
        sides = self.texture_sides(height or self.side, width or self.side)
        latent = torch.randn(count, self.config.latent, generator=generator)
        return Noise(latent, tuple(self._texture(count, h, w, generator) for h, w in sides))

    def _texture(self, count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """White noise (N, 1, h, w); directional noise has two maps more, equal down columns and along rows."""
        white = torch.randn(count, 1, height, width, generator=generator)
        if not self.config.directional_noise:
            return white
        sides = ((1, width), (height, 1))
        lines = [torch.randn(count, 1, *side, generator=generator).expand_as(white) for side in sides]
        return torch.cat([white, *lines], dim=1)
