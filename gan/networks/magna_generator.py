"""The generator of Magna: mask, noise and guide to a whole image, and where in the latent space real images lie.

The encoder's codes do not fill N(0, I) evenly. After Ghosh et al. (*From variational to deterministic autoencoders*,
2020) a Gaussian is fitted to the codes of the training images once they are learned, here one for each background
class, and noise is taken from that: `z = mean + factor @ noise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defects.attributes.guide import GuideSchema
from gan.config import BlendNetwork, MagnaNetwork
from gan.networks.layers import SLOPE, Convolution, Down, Up, initialize

PRIOR_IMAGES = 32
"""A class of n images trusts its own covariance with weight n / (n + PRIOR_IMAGES), that of all images for the rest."""


class LatentPlacement(nn.Module):
    """Standard noise and guides to codes.

    Args:
        latent: length L of a code.
        columns: (first, end) of the guide vector with the one-hot class; equal when there is none.
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, latent: int, columns: tuple[int, int]) -> None:
        super().__init__()
        self.columns = columns
        classes = columns[1] - columns[0] + 1
        self.register_buffer("mean", torch.zeros(classes, latent))
        self.register_buffer("factor", torch.eye(latent).repeat(classes, 1, 1))

    def forward(self, noise: Tensor, guides: Tensor) -> Tensor:
        """`noise` (N, L) standard normal, `guides` (N, G) -> codes (N, L)."""
        known = guides[:, self.columns[0] : self.columns[1]]
        weights = torch.cat([known, 1 - known.sum(dim=1, keepdim=True)], dim=1)
        placed = torch.einsum("nk,klm,nm->nl", weights, self.factor, noise)
        return weights @ self.mean + placed

    @torch.no_grad()
    def fit(self, means: Tensor, variances: Tensor, guides: Tensor) -> dict[str, Tensor]:
        """The buffers for the codes of real images; this module itself is not changed.

        Args:
            means: (N, L) means of the encoder.
            variances: (N, L) its variances.
            guides: (N, G) guide vectors of the images.

        Returns:
            `mean` (K + 1, L) and lower triangular `factor` (K + 1, L, L); the last class stands for all images.
        """
        center, spread = _moments(means, variances)
        rows = [(center, spread)]
        for column in range(self.columns[1] - 1, self.columns[0] - 1, -1):
            members = guides[:, column] > 0.5
            share = float(members.sum()) / (float(members.sum()) + PRIOR_IMAGES)
            mean, covariance = _moments(means[members], variances[members]) if members.any() else (center, spread)
            rows.append((mean, share * covariance + (1 - share) * spread))
        rows.reverse()
        factors = [torch.linalg.cholesky(c.double() + 1e-6 * torch.eye(len(c))).float() for _, c in rows]
        return {"mean": torch.stack([m for m, _ in rows]), "factor": torch.stack(factors)}


def _moments(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    center = means.mean(dim=0)
    centered = means - center
    return center, centered.T @ centered / max(len(means), 1) + torch.diag(variances.mean(dim=0))


STEPS = 7


class Noise(NamedTuple):
    """What is random in an image: `latent` (N, 132) and for each decoder stage one `texture` (N, 1, h, w), or
    (N, 3, h, w) with directional noise."""

    latent: Tensor
    texture: tuple[Tensor, ...]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Noise:
        return Noise(self.latent.to(device, dtype), tuple(t.to(device, dtype) for t in self.texture))


def stage_channels(config: MagnaNetwork | BlendNetwork) -> list[int]:
    """Channels at scale size / 2^k for k = 0..7: doubling from full resolution up to the limit."""
    return [min(config.max_width, config.width * 2**k) for k in range(STEPS + 1)]


class MaskProjection(nn.Module):
    """Seven stride-2 convolutions (fewer below 128 px), each followed by LeakyReLU; all maps and the embedding."""

    def __init__(self, config: MagnaNetwork, steps: int = STEPS) -> None:
        super().__init__()
        widths = [1] + [max(8, c // 2) for c in stage_channels(config)[1 : steps + 1]]
        self.widths = widths
        self.stages = nn.ModuleList(Down(a, b, padding=config.padding) for a, b in pairwise(widths))
        self.embed = nn.Linear(widths[-1], config.embedding)

    def forward(self, masks: Tensor) -> tuple[Tensor, list[Tensor]]:
        """`masks` (N, 1, S, S) -> embedding (N, 32) and the maps at S, S/2, ... S/128."""
        maps = [masks]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return self.embed(maps[-1].mean(dim=(2, 3))), maps


class MagnaGenerator(nn.Module):
    """The generator.

    Args:
        config: shapes.
        guide_size: length G of the guide vector.
        columns: (first, end) of the guide vector that hold the background's class.
    """

    def __init__(self, config: MagnaNetwork, guide_size: int, columns: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.config = config
        self.guide_size = guide_size
        self.steps = min(STEPS, config.size.bit_length() - 1)
        self.base = max(config.start, config.size // 2**self.steps)
        self.deepest = (config.size // self.base).bit_length() - 1
        self.mask_projection = MaskProjection(config, self.steps)
        code = config.embedding + config.latent + guide_size
        widths, skips = stage_channels(config)[: self.deepest + 1], self.mask_projection.widths
        self.mapping = nn.Linear(code, 128) if config.modulation else None
        self.start = nn.Linear(code, widths[-1] * self.base**2)
        self.stages = nn.ModuleList(
            Up(
                widths[min(k + 1, self.deepest)],
                skips[k],
                widths[k],
                128,
                norm=config.normalization if config.normalization == "batch" or k >= 2 else None,
                modulation=config.modulation,
                noise_injection=config.noise_injection,
                padding=config.padding,
            )
            for k in range(self.deepest, -1, -1)
        )
        self.finish = Convolution(widths[0], widths[0], 3, padding=config.padding)
        self.to_image = Convolution(widths[0], config.channels, 3, padding=config.padding)
        self.latent = LatentPlacement(config.latent, columns) if config.encoder else None
        initialize(self, config.init_std)
        if config.init_std is None:
            # Begin near mid-gray: a saturated tanh and a style term of a thousand cost the first ten epochs.
            self.to_image.weight.data *= 0.1

    @classmethod
    def from_schema(cls, config: MagnaNetwork, schema: GuideSchema) -> MagnaGenerator:
        """An untrained generator for the guides of a schema."""
        return cls(config, schema.size, schema.columns("background"))

    def forward(self, masks: Tensor, noise: Noise, guides: Tensor, *, encoded: bool = False) -> Tensor:
        """Generates images.

        Args:
            masks: (N, 1, S, S) in [0, 1].
            noise: standard normal.
            guides: (N, G).
            encoded: the latent noise comes from the encoder of real images and is already placed.

        Returns:
            (N, C, S, S) in [-1, 1].
        """
        embedding, maps = self.mask_projection(masks)
        latent = noise.latent if encoded or self.latent is None else self.latent(noise.latent, guides)
        vector = torch.cat([embedding, latent, guides], dim=1)
        code = vector if self.mapping is None else F.leaky_relu(self.mapping(vector), SLOPE)
        features = self.start(vector).unflatten(1, (-1, self.base, self.base))
        features = features.contiguous(memory_format=torch.channels_last)
        textures: Sequence[Tensor | None] = noise.texture or (None,) * (self.deepest + 1)
        for stage, skip, texture in zip(self.stages, reversed(maps[: self.deepest + 1]), textures, strict=True):
            features = stage(features, skip, code, texture)
        features = F.leaky_relu(self.finish(features), SLOPE)
        return torch.tanh(self.to_image(features))

    def texture_sides(self) -> list[int]:
        """Sides of the texture maps, first stage first; empty when the network uses none."""
        if not self.config.noise_injection:
            return []
        return [self.config.size // 2**k for k in range(self.deepest, -1, -1)]

    def sample_noise(self, generators: Sequence[torch.Generator]) -> Noise:
        """Noise for len(generators) images; image i uses its own generator only, so batches do not matter."""
        sides = self.texture_sides()
        lengths = [self.config.latent] + [side * side for side in sides]
        rows = torch.stack([torch.randn(sum(lengths), generator=g, device=g.device) for g in generators])
        latent, *flat = torch.split(rows, lengths, dim=1)
        return Noise(latent, tuple(t.reshape(-1, 1, s, s) for t, s in zip(flat, sides, strict=True)))

    def draw_noise(self, count: int, generator: torch.Generator) -> Noise:
        """Noise of a training step, all of it from one generator: faster, where no image is needed alone."""
        textures = tuple(torch.randn(count, 1, s, s, generator=generator) for s in self.texture_sides())
        return Noise(torch.randn(count, self.config.latent, generator=generator), textures)
