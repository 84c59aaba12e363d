"""The adversarial, reconstruction and guide terms; each is a pure function of tensors. Style has its own room."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(*, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """`-E[log D(real)] - E[log(1 - D(fake))]` from logits, averaged over scales."""
    terms = [F.softplus(-r.float()).mean() + F.softplus(f.float()).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def generator_loss(fake: Sequence[Tensor]) -> Tensor:
    """The non-saturating form `-E[log D(fake)]` from logits, averaged over scales."""
    return torch.stack([F.softplus(-f.float()).mean() for f in fake]).mean()


def reconstruction_loss(fake: Tensor, real: Tensor, masks: Tensor, defect_weight: float = 1.0) -> Tensor:
    """Squared L2 per pixel; pixels in or within 2 px of the defect count `defect_weight` times.

    Args:
        fake: generated images (N, C, S, S).
        real: their paired images (N, C, S, S).
        masks: true masks (N, 1, S, S).
        defect_weight: 1 is the source's term. A defect covers a few per mille of an image, so that the plain mean
            hardly sees it.
    """
    error = (fake.float() - real.float()).square()
    if defect_weight == 1.0:
        return error.mean()
    weight = 1 + (defect_weight - 1) * F.max_pool2d(masks.float(), 5, stride=1, padding=2)
    return (error * weight).mean()


def ground_loss(fake: Tensor, real: Tensor, masks: Tensor) -> Tensor:
    """Squared L2 outside the masks and 4 px around them: the ground of `real` under another defect.

    `fake` and `real` (N, C, S, S); `masks` (N, 1, S, S), the union of both images' defects.
    """
    free = 1 - F.max_pool2d(masks.float(), 9, stride=1, padding=4)
    error = (fake.float() - real.float()).square().mean(dim=1, keepdim=True)
    return (error * free).sum() / free.sum().clamp_min(1)


def brightness_of(images: Tensor, masks: Tensor, radius: int) -> Tensor:
    """A differentiable stand-in for `defects.attributes.guide.brightness`, with a square ring.

    Luminance inside the mask minus that of the ring, (N,), -1..1.

    `images` (N, C, S, S) in [-1, 1], `masks` (N, 1, S, S) in {0, 1}; 0 where the mask is empty.
    """
    images = (images.float() + 1) / 2
    if images.shape[1] == 3:
        images = (images * images.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    near = F.max_pool2d(masks, 5, stride=1, padding=2)
    side = 2 * radius + 1
    wide = F.max_pool2d(near, (1, side), stride=1, padding=(0, radius))
    around = F.max_pool2d(wide, (side, 1), stride=1, padding=(radius, 0)) - near
    inside_mean = (images * masks).sum((1, 2, 3)) / masks.sum((1, 2, 3)).clamp_min(1)
    around_mean = (images * around).sum((1, 2, 3)) / around.sum((1, 2, 3)).clamp_min(1)
    present = (masks.sum((1, 2, 3)) > 0) & (around.sum((1, 2, 3)) > 0)
    return torch.where(present, inside_mean - around_mean, torch.zeros_like(inside_mean))
