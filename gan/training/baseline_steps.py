"""One training step of Pix2Pix and one of CycleGAN, called as `gan.training.magna_step.MagnaStep` is.

Losses as in their papers: Pix2Pix with the L1 distance (Isola et al. 2017, equation 4) and the cross-entropy that all
share here, CycleGAN with least squares (Zhu et al. 2017, section 4) and its cycle of both directions (equation 2). The
discriminators' loss is halved in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine.seeding import torch_generator
from engine.training.optimizer import MasterAdam
from gan.config import GanConfig
from gan.data.loader import Batch
from gan.losses.adversarial import discriminator_loss, generator_loss
from gan.networks.magna_generator import Noise


class Pix2PixStep:
    """Mask to image, paired.

    Args:
        networks: `generator` and `discriminator`.
        optimizers: their optimisers.
        config: `loss.reconstruction` is the weight of L1 (source: 100), `loss.adversarial` that of the discriminator.
    """

    def __init__(self, networks: Mapping[str, Any], optimizers: Mapping[str, MasterAdam], config: GanConfig) -> None:
        self.networks, self.optimizers, self.loss = networks, optimizers, config.loss

    def __call__(
        self,
        batch: Batch,
        noise: Noise,
        shifts: Tensor,  # noqa: ARG002
        rate: float,
        index: int,  # noqa: ARG002
    ) -> dict[str, float]:
        """One update; unweighted terms and the discriminator's mean probabilities."""
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        given = batch.masks * 2 - 1
        fake = generator(batch.masks, noise, batch.guides)
        discriminator.requires_grad_(True)
        real_logits = discriminator(torch.cat([given, batch.images], 1))
        fake_logits = discriminator(torch.cat([given, fake.detach()], 1))
        d_loss = discriminator_loss(real=[real_logits], fake=[fake_logits]) / 2
        _update(d_loss, [self.optimizers["discriminator"]], rate)
        discriminator.requires_grad_(False)
        terms = {
            "adversarial": generator_loss([discriminator(torch.cat([given, fake], 1))]),
            "reconstruction": (fake.float() - batch.images.float()).abs().mean(),
        }
        total = self.loss.adversarial * terms["adversarial"] + self.loss.reconstruction * terms["reconstruction"]
        _update(total, [self.optimizers["generator"]], rate)
        return _report(terms, total, d_loss, real_logits.sigmoid(), fake_logits.sigmoid())


class CycleStep:
    """Masks to images and back, unpaired: every mask meets the image of another one.

    Args:
        networks: `generator`, `back` and `discriminator` (see `gan.networks.cyclegan`).
        optimizers: their optimisers.
        config: `loss.reconstruction` is the weight of the cycles (source: 10), `loss.adversarial` that of the
            discriminators.
    """

    def __init__(self, networks: Mapping[str, Any], optimizers: Mapping[str, MasterAdam], config: GanConfig) -> None:
        self.networks, self.optimizers, self.loss, self.seed = networks, optimizers, config.loss, config.train.seed

    def __call__(
        self,
        batch: Batch,
        noise: Noise,  # noqa: ARG002
        shifts: Tensor,  # noqa: ARG002
        rate: float,
        index: int,
    ) -> dict[str, float]:
        """One update; unweighted terms and the discriminators' mean answers, which aim at 1 and 0."""
        forth, back, judges = (self.networks[name] for name in ("generator", "back", "discriminator"))
        images, given = batch.images, batch.masks.roll(1, 0)
        masks = given * 2 - 1
        drawn, found = forth(given), back((images + 1) / 2)

        judges.requires_grad_(True)
        draws = torch.rand(2, len(images), 2, generator=torch_generator(self.seed, "history", index))
        shown = (
            judges.old_images.exchange(drawn.detach(), draws[0]),
            judges.old_masks.exchange(found.detach(), draws[1]),
        )
        real_logits, fake_logits = judges(images, masks), judges(*shown)
        d_loss = torch.stack([_squares(logits, 1.0) for logits in real_logits]).sum()
        d_loss = (d_loss + torch.stack([_squares(logits, 0.0) for logits in fake_logits]).sum()) / 2
        _update(d_loss, [self.optimizers["discriminator"]], rate)
        judges.requires_grad_(False)

        logits = judges(drawn, found)
        cycles = back((drawn + 1) / 2) - masks, forth((found + 1) / 2) - images
        terms = {
            "adversarial": torch.stack([_squares(one, 1.0) for one in logits]).sum(),
            "reconstruction": torch.stack([off.float().abs().mean() for off in cycles]).sum(),
        }
        total = self.loss.adversarial * terms["adversarial"] + self.loss.reconstruction * terms["reconstruction"]
        _update(total, [self.optimizers["generator"], self.optimizers["back"]], rate)
        return _report(terms, total, d_loss, real_logits[0], fake_logits[0])


def _squares(logits: Tensor, aim: float) -> Tensor:
    return (logits.float() - aim).square().mean()


def _update(loss: Tensor, optimizers: list[MasterAdam], rate: float) -> None:
    """Gradients, and a step where the loss is a number."""
    loss.backward()  # type: ignore[no-untyped-call]
    if torch.isfinite(loss):
        for adam in optimizers:
            adam.step(rate)


def _report(terms: dict[str, Tensor], total: Tensor, d_loss: Tensor, real: Tensor, fake: Tensor) -> dict[str, float]:
    report = {name: float(term.detach()) for name, term in terms.items()}
    report |= {"discriminator": float(d_loss.detach()), "total": float(total.detach())}
    return report | {"d_real": float(real.detach().float().mean()), "d_fake": float(fake.detach().float().mean())}
