"""The terms of Magna-Blend; each is a pure function of tensors and looks near the defect only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gan.networks.blend_discriminator import Verdict, nearness

PYRAMID = ((1, 0.5), (2, 1.0), (4, 1.0))
"""(factor, weight): at full resolution the grain of two surfaces never agrees, so coarser levels count more."""


def hinge_loss(*, real: Sequence[Verdict], fake: Sequence[Verdict], near: Tensor) -> Tensor:
    """`E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]` over the patches near the defects, averaged over scales.

    `near` (N, 1, H, W) is the same for both, see `gan.networks.blend_discriminator.nearness`.
    """
    terms = [
        _near(F.relu(1 - r.logits.float()) + F.relu(1 + f.logits.float()), near)
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def fooling_loss(fake: Sequence[Verdict], near: Tensor) -> Tensor:
    """`-E[D(fake)]` over the patches near the defects, averaged over scales."""
    return torch.stack([_near(-verdict.logits.float(), near) for verdict in fake]).mean()


def feature_loss(*, real: Sequence[Verdict], fake: Sequence[Verdict], near: Tensor) -> Tensor:
    """Mean absolute difference of the discriminator's inner maps near the defects (Wang et al. 2018, eq. 4)."""
    terms = [
        _near((r.detach() - f).abs().mean(dim=1, keepdim=True).float(), near)
        for real_scale, fake_scale in zip(real, fake, strict=True)
        for r, f in zip(real_scale.features, fake_scale.features, strict=True)
    ]
    return torch.stack(terms).mean()


def pyramid_loss(fake: Tensor, real: Tensor, region: Tensor) -> Tensor:
    """Absolute difference of two images and of their halved copies within a region; every image counts alike.

    `fake` and `real` (N, C, H, W); `region` (N, 1, H, W) in {0, 1}.
    """
    error = (fake.float() - real.float()) * region
    area = region.sum(dim=(1, 2, 3)).clamp_min(1)
    total = torch.zeros_like(area)
    for factor, weight in PYRAMID:
        coarse = F.avg_pool2d(error, factor) if factor > 1 else error
        total = total + weight * factor**2 * coarse.abs().mean(dim=1).sum(dim=(1, 2)) / area
    return total.mean()


def brightness_near(images: Tensor, distances: Tensor, radius: int) -> Tensor:
    """Luminance inside the defect minus that of a ring from 2 px to `radius` + 2 px around it, (N,), -1..1.

    `images` (N, C, H, W) in [-1, 1], `distances` (N, 1, H, W) signed px. A differentiable
    `defects.attributes.guide.brightness`; 0 where there is nothing to measure.
    """
    light = (images.float() + 1) / 2
    if light.shape[1] == 3:
        light = (light * light.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    inside = (distances > 0).float()
    around = ((distances < -2) & (distances > -(radius + 2))).float()
    levels = [(light * part).sum((1, 2, 3)) / part.sum((1, 2, 3)).clamp_min(1) for part in (inside, around)]
    present = (inside.sum((1, 2, 3)) > 0) & (around.sum((1, 2, 3)) > 0)
    return (levels[0] - levels[1]) * present


def _near(values: Tensor, near: Tensor) -> Tensor:
    weights = nearness(near, (values.shape[2], values.shape[3]))
    return (values * weights).sum() / len(values)
