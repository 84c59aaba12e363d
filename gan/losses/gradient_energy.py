"""The texture term of Magna-Blend: how strong a defect's grain is, along and across, fine and coarse.

No noise vector says where each stripe of a ground surface lies, so the reconstruction term is best served by none at
all: uneven grinding came out smooth. This term asks for no place. It compares energies of derivatives in small windows,
as the statistics of Portilla and Simoncelli (*A parametric texture model based on joint statistics of complex wavelet
coefficients*, 2000) do with wavelets, and needs no pretrained network.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = 3
WINDOW = 9
"""Side of the windows, px of each scale."""
QUIET = (1.5 * 2 / 255) ** 2
"""Energy that counts as none, that of 1.5 grey levels: below it lies a camera's own noise."""


def texture_loss(fake: Tensor, real: Tensor, region: Tensor) -> Tensor:
    """Absolute difference of the logarithms of the energies within a region; every image counts alike.

    `fake` and `real` (N, C, H, W) in [-1, 1]; `region` (N, 1, H, W) in {0, 1}.
    """
    fake, real = fake.float(), real.float()
    terms = []
    for scale in range(SCALES):
        if scale:
            fake, real = F.avg_pool2d(fake, 2), F.avg_pool2d(real, 2)
            region = F.max_pool2d(region, 2)
        off = (_energies(fake, region).log() - _energies(real, region).log()).abs().mean(dim=1, keepdim=True)
        terms.append((off * region).sum(dim=(1, 2, 3)) / region.sum(dim=(1, 2, 3)).clamp_min(1))
    return torch.stack(terms).mean()


def _energies(images: Tensor, region: Tensor) -> Tensor:
    """Mean squared differences across and down in windows around every pixel, (N, 2 C, H, W)."""
    across = F.pad(images[..., 1:] - images[..., :-1], (0, 1))
    down = F.pad(images[..., 1:, :] - images[..., :-1, :], (0, 0, 0, 1))
    squares = torch.cat([across, down], dim=1).square() * region
    total, share = (F.avg_pool2d(x, WINDOW, 1, WINDOW // 2) for x in (squares, region))
    return QUIET + total / share.clamp_min(1e-6)
