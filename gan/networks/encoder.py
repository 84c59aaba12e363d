"""The encoder that gives the noise vector of a real image (BicycleGAN's, Zhu et al. 2017b), used in training only.

Without it the noise cannot explain the paired image, and the reconstruction term averages over backgrounds.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from gan.config import BlendNetwork, MagnaNetwork
from gan.networks.layers import Down, PixelNorm, area, initialize


class Encoder(nn.Module):
    """images (N, C, S, S) in [-1, 1] -> mean and log variance of the noise, each (N, latent).

    Args:
        config: shapes.
        extra_channels: input channels besides those of the image.
    """

    def __init__(self, config: MagnaNetwork | BlendNetwork, extra_channels: int = 0) -> None:
        super().__init__()
        widths = [config.channels + extra_channels, 24, 48, 96, 128, 128]
        self.stages = nn.Sequential(*(Down(a, b, norm=PixelNorm()) for a, b in pairwise(widths)))
        self.head = nn.Linear(widths[-1] * 16, 2 * config.latent)
        initialize(self, config.init_std)
        nn.init.normal_(self.head.weight, 0.0, 0.01)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = area(self.stages(images), 4).flatten(1)
        mean, log_variance = self.head(features).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 4)


def reparameterize(mean: Tensor, log_variance: Tensor, unit: Tensor) -> Tensor:
    """The reparameterized sample `mean + std * unit`."""
    return mean + torch.exp(0.5 * log_variance) * unit


def kl_to_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of N(mean, exp(log_variance)) from N(0, I), summed over the vector, mean over the batch."""
    return 0.5 * (mean.pow(2) + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
