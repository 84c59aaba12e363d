"""One training step of the Magna networks: a batch in, a dict of named scalars out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from defects.attributes.appearance import ring_radius
from defects.attributes.guide import GuideSchema
from engine.training.optimizer import MasterAdam
from gan.config import GanConfig, MagnaLossConfig
from gan.data.loader import Batch
from gan.losses.adversarial import BrightnessGuide, MagnaLoss, discriminator_loss, weighted_total
from gan.losses.style import StyleLoss
from gan.networks.encoder import kl_to_normal, reparameterize
from gan.networks.magna_generator import Noise

Networks = Mapping[str, nn.Module]
Optimizers = Mapping[str, MasterAdam]


class Step(Protocol):
    """One update of all networks of an architecture that generates whole images.

    Attributes:
        weights: Of the generator's loss terms.
        swaps: Whether half as many images with swapped backgrounds are generated besides those of the batch.
    """

    weights: Mapping[str, float]
    swaps: bool

    def __call__(self, batch: Batch, noise: Noise, shifts: Tensor, rate: float, index: int) -> dict[str, float]:
        """One update.

        Args:
            batch: See `Batch`.
            noise: For the N images of the batch, then for E swapped ones, which take the background of one image and
                the mask and guide of the one before; E is 0 unless `swaps`.
            shifts: (E,) by which the brightness guide of the swapped images is moved, in vector units.
            rate: Learning rate.
            index: Number of the step in the run.

        Returns:
            Unweighted loss terms and `d_real`, `d_fake`: the discriminator's mean probabilities.
        """
        ...


class MagnaStep:
    """Computes the losses, updates discriminator then generator, and reports; see `Step`.

    Args:
        networks: `generator`, `discriminator` and, but for the recipe of the paper, `posterior`: the encoder.
        optimizers: Theirs.
        loss: Of the generator.
        backgrounds: Columns (first, end) of the guide vector with the background class.
    """

    def __init__(
        self, networks: Networks, optimizers: Optimizers, loss: MagnaLoss, backgrounds: tuple[int, int] = (0, 0)
    ) -> None:
        self.networks, self.optimizers, self.loss, self.backgrounds = networks, optimizers, loss, backgrounds
        self.weights: Mapping[str, float] = loss.weights
        self.swaps = "posterior" in networks

    @classmethod
    def build(
        cls,
        networks: Networks,
        optimizers: Optimizers,
        config: GanConfig,
        schema: GuideSchema,
        style: StyleLoss | None,
    ) -> MagnaStep:
        """The step of a configuration."""
        assert isinstance(config.loss, MagnaLossConfig)
        weights = config.loss.model_dump(exclude={"style_size"})
        loss = MagnaLoss(
            **weights,
            style_loss=style,
            brightness=BrightnessGuide.of(schema),
            radius=ring_radius(config.network.size),
        )
        return cls(networks, optimizers, loss, schema.columns("background"))

    def __call__(self, batch: Batch, noise: Noise, shifts: Tensor, rate: float, index: int) -> dict[str, float]:
        """See `Step`."""
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        n = len(batch.images)
        extra = len(noise.latent) - n
        other = (torch.arange(extra, device=batch.images.device) + 1) % n
        guides = torch.cat([batch.guides, self._swapped(batch.guides, other, shifts)])
        masks = torch.cat([batch.masks, batch.masks[:extra]])
        conditions = torch.cat([batch.conditions, batch.conditions[:extra]])
        terms: dict[str, Tensor] = {}
        if self.swaps:
            mean, log_variance = self.networks["posterior"](batch.images)
            terms["kl"] = kl_to_normal(mean, log_variance)
            source = torch.cat([torch.arange(n, device=other.device), other])
            latent = reparameterize(mean[source], log_variance[source], noise.latent.float())
            noise = Noise(latent, noise.texture)
        fake = generator(conditions, noise, guides, encoded=True)
        shown = slice(extra, None)  # as many fakes as real images: all swapped ones and the rest reconstructed

        discriminator.requires_grad_(True)
        real_logits = discriminator(batch.images, batch.masks, batch.guides)
        fake_logits = discriminator(fake[shown].detach(), masks[shown], guides[shown])
        d_loss = discriminator_loss(real=real_logits, fake=fake_logits)
        update(d_loss, [self.optimizers["discriminator"]], rate)
        discriminator.requires_grad_(False)

        logits = discriminator(fake[shown], masks[shown], guides[shown])
        terms |= self.loss(fake, batch.images, masks, guides, other, logits, index)
        total = weighted_total(terms, self.weights)
        update(total, [self.optimizers[name] for name in ("generator", "posterior") if name in self.optimizers], rate)
        with torch.no_grad():
            means = [torch.cat([x.flatten() for x in each]).sigmoid().mean() for each in (real_logits, fake_logits)]
        return report(terms, total, d_loss, *means)

    def _swapped(self, guides: Tensor, other: Tensor, shifts: Tensor) -> Tensor:
        """Guides of the swapped images: another image's background, and brightness moved at random."""
        mixed = guides[: len(other)].clone()
        first, end = self.backgrounds
        mixed[:, first:end] = guides[other, first:end]
        return mixed if self.loss.brightness is None else self.loss.brightness.shifted(mixed, shifts)


def update(loss: Tensor, optimizers: list[MasterAdam], rate: float) -> None:
    """Gradients, and a step where the loss is a number."""
    loss.backward()  # type: ignore[no-untyped-call]
    if torch.isfinite(loss):
        for optimizer in optimizers:
            optimizer.step(rate)


def report(terms: Mapping[str, Tensor], total: Tensor, d_loss: Tensor, real: Tensor, fake: Tensor) -> dict[str, float]:
    """The scalars of a step; `real` and `fake` are means of the discriminator's probabilities or outputs."""
    scalars = {name: float(term.detach()) for name, term in terms.items()}
    scalars |= {"discriminator": float(d_loss.detach()), "total": float(total.detach())}
    return scalars | {"d_real": float(real.detach()), "d_fake": float(fake.detach())}
