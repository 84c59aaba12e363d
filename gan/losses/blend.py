"""The terms of Magna-Blend as pure functions, all of them near the defect only, and the loss of its generator.

The gradient-energy term: no noise vector can encode the position of each stripe of a polished surface, so the
reconstruction term alone makes uneven grinding smooth. This term ignores positions. It compares energies of derivatives
in small patches, as the statistics of Portilla and Simoncelli (*A parametric texture model based on joint statistics of
complex wavelet coefficients*, 2000) do with wavelets, and needs no pretrained network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gan.losses.adversarial import BrightnessGuide
from gan.networks.blend_discriminator import ScaleOutput, nearness

PYRAMID = ((1, 0.5), (2, 1.0), (4, 1.0))
"""(factor, weight): at full resolution the grain of two surfaces never agrees, so coarser scales count more."""
SCALES = 3
PATCH = 9
"""Side of the patches of gradient energy, px of each scale."""
QUIET = (1.5 * 2 / 255) ** 2
"""Energy that counts as none, that of 1.5 gray levels: below it lies a camera's own noise."""


def hinge_loss(*, real: Sequence[ScaleOutput], fake: Sequence[ScaleOutput], near: Tensor) -> Tensor:
    """`E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]` over the patches near the defects, averaged over scales.

    `near` (N, 1, H, W) is the same for both, see `gan.networks.blend_discriminator.nearness`.
    """
    terms = [
        _near(F.relu(1 - r.logits.float()) + F.relu(1 + f.logits.float()), near)
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def adversarial_loss(fake: Sequence[ScaleOutput], near: Tensor) -> Tensor:
    """`-E[D(fake)]` over the patches near the defects, averaged over scales."""
    return torch.stack([_near(-output.logits.float(), near) for output in fake]).mean()


def feature_loss(*, real: Sequence[ScaleOutput], fake: Sequence[ScaleOutput], near: Tensor) -> Tensor:
    """Mean absolute difference of the discriminator's inner maps near the defects (Wang et al. 2018, eq. 4)."""
    terms = [
        _near((r.detach() - f).abs().mean(dim=1, keepdim=True).float(), near)
        for real_scale, fake_scale in zip(real, fake, strict=True)
        for r, f in zip(real_scale.features, fake_scale.features, strict=True)
    ]
    return torch.stack(terms).mean()


def pyramid_loss(fake: Tensor, real: Tensor, region: Tensor) -> Tensor:
    """Absolute difference of two images and of their halved versions within a region; every image counts the same.

    `fake` and `real` (N, C, H, W); `region` (N, 1, H, W) in {0, 1}.
    """
    error = (fake.float() - real.float()) * region
    area = region.sum(dim=(1, 2, 3)).clamp_min(1)
    total = torch.zeros_like(area)
    for factor, weight in PYRAMID:
        coarse = F.avg_pool2d(error, factor) if factor > 1 else error
        total = total + weight * factor**2 * coarse.abs().mean(dim=1).sum(dim=(1, 2)) / area
    return total.mean()


def _near(values: Tensor, near: Tensor) -> Tensor:
    weights = nearness(near, (values.shape[2], values.shape[3]))
    return (values * weights).sum() / len(values)


def gradient_energy_loss(fake: Tensor, real: Tensor, region: Tensor) -> Tensor:
    """Absolute difference of the logarithms of the energies within a region; every image counts the same.

    `fake` and `real` (N, C, H, W) in [-1, 1]; `region` (N, 1, H, W) in {0, 1}.
    """
    fake, real = fake.float(), real.float()
    terms = []
    for scale in range(SCALES):
        if scale:
            fake, real = F.avg_pool2d(fake, 2), F.avg_pool2d(real, 2)
            region = F.max_pool2d(region, 2)
        error = (_energies(fake, region).log() - _energies(real, region).log()).abs().mean(dim=1, keepdim=True)
        terms.append((error * region).sum(dim=(1, 2, 3)) / region.sum(dim=(1, 2, 3)).clamp_min(1))
    return torch.stack(terms).mean()


def _energies(images: Tensor, region: Tensor) -> Tensor:
    """Mean squared differences across and down in patches around every pixel, (N, 2 C, H, W)."""
    across = F.pad(images[..., 1:] - images[..., :-1], (0, 1))
    down = F.pad(images[..., 1:, :] - images[..., :-1, :], (0, 0, 0, 1))
    energy = torch.cat([across, down], dim=1).pow(2) * region
    total, share = (F.avg_pool2d(x, PATCH, 1, PATCH // 2) for x in (energy, region))
    return QUIET + total / share.clamp_min(1e-6)


class BlendLoss:
    """The terms of blend's generator and encoder.

    Args:
        reconstruction: Weight of `pyramid_loss`.
        adversarial: Of `adversarial_loss`.
        kl: Of the encoder's divergence.
        features: Of `feature_loss`; 0 leaves it out.
        gradient_energy: Of `gradient_energy_loss`; 0 leaves it out.
        guide: Of the squared error of brightness; 0 leaves it out.
        brightness: Where brightness stands in the guide vector; None leaves the guide term out.
        radius: Of the ring in which brightness is measured, px.
        blend_radius: Px around the mask within which images are compared.
    """

    def __init__(
        self,
        *,
        reconstruction: float,
        adversarial: float,
        kl: float = 0.0,
        features: float = 0.0,
        gradient_energy: float = 0.0,
        guide: float = 0.0,
        brightness: BrightnessGuide | None = None,
        radius: int = 3,
        blend_radius: int = 6,
    ) -> None:
        self.weights = {
            "reconstruction": reconstruction,
            "adversarial": adversarial,
            "kl": kl,
            "features": features,
            "texture": gradient_energy,
            "guide": guide,
        }
        self.brightness, self.radius, self.blend_radius = brightness if guide else None, radius, blend_radius

    def __call__(
        self,
        fake: Tensor,
        images: Tensor,
        distances: Tensor,
        guides: Tensor,
        measured: Tensor,
        *,
        real_outputs: Sequence[ScaleOutput],
        fake_outputs: Sequence[ScaleOutput],
        near: Tensor,
    ) -> dict[str, Tensor]:
        """The unweighted terms, but for the encoder's.

        Args:
            fake: (N + E, C, S, S) generated images, the last E on other backgrounds.
            images: (N, C, S, S) real ones.
            distances: (N, 1, S, S) signed px from the mask's edge.
            guides: (N + E, G) of the generated ones.
            measured: (N,) in {0, 1}: whether the crop shows enough to measure its brightness.
            real_outputs: Of the discriminator for real images, each scale.
            fake_outputs: For as many generated ones, the E on other backgrounds first.
            near: (N, 1, S, S), see `nearness`.
        """
        n, extra = len(images), len(fake) - len(images)
        terms = {"adversarial": adversarial_loss(fake_outputs, near)}
        if self.weights["features"]:
            real, paired = [out.after(extra) for out in real_outputs], [out.after(extra) for out in fake_outputs]
            terms["features"] = feature_loss(real=real, fake=paired, near=near[extra:])
        region = (distances > -self.blend_radius).float()
        terms["reconstruction"] = pyramid_loss(fake[:n], images, region)
        if self.weights["texture"]:
            terms["texture"] = gradient_energy_loss(fake[:n], images, region)
        if self.brightness is not None and extra:
            masks = distances[:extra] > 0
            terms["guide"] = self.brightness.loss(fake[n:], masks, guides[n:], measured[:extra], self.radius)
        return terms
