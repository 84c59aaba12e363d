"""One training step of Pix2Pix and one of CycleGAN; see `gan.training.magna_step.Step`.

Losses as in their papers: Pix2Pix with the L1 distance (Isola et al. 2017, equation 4) and the cross-entropy that all
share here, CycleGAN with least squares (Zhu et al. 2017, section 4) and its cycle of both directions (equation 2). The
discriminators' loss is halved in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, cast

import torch
from torch import Tensor

from defects.attributes.guide import GuideSchema
from engine.seeding import torch_generator
from gan.config import GanConfig
from gan.data.loader import Batch
from gan.losses.adversarial import discriminator_loss, generator_loss, weighted_total
from gan.losses.style import StyleLoss
from gan.networks.cyclegan import CycleDiscriminators
from gan.networks.magna_generator import Noise
from gan.training.magna_step import Networks, Optimizers, report, update


class _BaselineStep:
    """What the baselines' steps share: networks, optimizers and the weights of L1 and of the discriminator's term."""

    swaps = False

    def __init__(
        self, networks: Networks, optimizers: Optimizers, *, reconstruction: float, adversarial: float, seed: int = 0
    ) -> None:
        self.networks, self.optimizers, self.seed = networks, optimizers, seed
        self.weights: Mapping[str, float] = {"reconstruction": reconstruction, "adversarial": adversarial}

    @classmethod
    def build(
        cls,
        networks: Networks,
        optimizers: Optimizers,
        config: GanConfig,
        schema: GuideSchema,  # noqa: ARG003
        style: StyleLoss | None,  # noqa: ARG003
    ) -> Self:
        """The step of a configuration."""
        loss, seed = config.loss, config.train.seed
        return cls(networks, optimizers, reconstruction=loss.reconstruction, adversarial=loss.adversarial, seed=seed)


class Pix2PixStep(_BaselineStep):
    """Mask to image, paired.

    Args:
        networks: `generator` and `discriminator`.
        optimizers: Theirs.
        reconstruction: Weight of L1 (paper: 100).
        adversarial: Weight of the discriminator's term.
        seed: Not used.
    """

    def __call__(
        self,
        batch: Batch,
        noise: Noise,
        shifts: Tensor,  # noqa: ARG002
        rate: float,
        index: int,  # noqa: ARG002
    ) -> dict[str, float]:
        """See `Step`."""
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        given = batch.masks * 2 - 1
        fake = generator(batch.masks, noise, batch.guides)
        discriminator.requires_grad_(True)
        real_logits = discriminator(torch.cat([given, batch.images], 1))
        fake_logits = discriminator(torch.cat([given, fake.detach()], 1))
        d_loss = discriminator_loss(real=[real_logits], fake=[fake_logits]) / 2
        update(d_loss, [self.optimizers["discriminator"]], rate)
        discriminator.requires_grad_(False)
        terms = {
            "adversarial": generator_loss([discriminator(torch.cat([given, fake], 1))]),
            "reconstruction": (fake.float() - batch.images.float()).abs().mean(),
        }
        total = weighted_total(terms, self.weights)
        update(total, [self.optimizers["generator"]], rate)
        return report(terms, total, d_loss, real_logits.sigmoid().float().mean(), fake_logits.sigmoid().float().mean())


class CycleStep(_BaselineStep):
    """Masks to images and back, unpaired: every mask meets the image of another one.

    Args:
        networks: `generator`, `back` and `discriminator` (see `gan.networks.cyclegan`).
        optimizers: Theirs.
        reconstruction: Weight of the cycles (paper: 10).
        adversarial: Weight of the discriminators' term.
        seed: Of the histories of generated images.
    """

    def __call__(
        self,
        batch: Batch,
        noise: Noise,  # noqa: ARG002
        shifts: Tensor,  # noqa: ARG002
        rate: float,
        index: int,
    ) -> dict[str, float]:
        """See `Step`; `d_real` and `d_fake` are mean outputs, whose targets are 1 and 0."""
        forth, back = self.networks["generator"], self.networks["back"]
        discriminators = cast(CycleDiscriminators, self.networks["discriminator"])
        images, given = batch.images, batch.masks.roll(1, 0)
        masks = given * 2 - 1
        fake_images, fake_masks = forth(given), back((images + 1) / 2)

        discriminators.requires_grad_(True)
        draws = torch.rand(2, len(images), 2, generator=torch_generator(self.seed, "history", index))
        exchanged = (
            discriminators.old_images.exchange(fake_images.detach(), draws[0]),
            discriminators.old_masks.exchange(fake_masks.detach(), draws[1]),
        )
        real_logits, fake_logits = discriminators(images, masks), discriminators(*exchanged)
        d_loss = torch.stack([_squared_error(logits, 1.0) for logits in real_logits]).sum()
        d_loss = (d_loss + torch.stack([_squared_error(logits, 0.0) for logits in fake_logits]).sum()) / 2
        update(d_loss, [self.optimizers["discriminator"]], rate)
        discriminators.requires_grad_(False)

        logits = discriminators(fake_images, fake_masks)
        cycles = back((fake_images + 1) / 2) - masks, forth((fake_masks + 1) / 2) - images
        terms = {
            "adversarial": torch.stack([_squared_error(one, 1.0) for one in logits]).sum(),
            "reconstruction": torch.stack([error.float().abs().mean() for error in cycles]).sum(),
        }
        total = weighted_total(terms, self.weights)
        update(total, [self.optimizers["generator"], self.optimizers["back"]], rate)
        return report(terms, total, d_loss, real_logits[0].float().mean(), fake_logits[0].float().mean())


def _squared_error(logits: Tensor, target: float) -> Tensor:
    return (logits.float() - target).pow(2).mean()
