"""One training step of the Magna networks: a batch in, a dict of named scalars out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from defects.attributes.guide import GuideSchema, NumericEntry, ring_radius
from engine.training.optimizer import MasterAdam
from gan.config import GanConfig
from gan.data.loader import Batch
from gan.losses.adversarial import brightness_of, discriminator_loss, generator_loss, ground_loss, reconstruction_loss
from gan.losses.style import StyleLoss
from gan.networks.encoder import draw, kl_to_normal
from gan.networks.magna_generator import Noise


@dataclass
class Networks:
    """The networks and their optimisers; `posterior` is None in the literal recipe."""

    generator: nn.Module
    discriminator: nn.Module
    posterior: nn.Module | None
    generator_optimizer: MasterAdam
    discriminator_optimizer: MasterAdam
    encoder_optimizer: MasterAdam | None


class MagnaStep:
    """Computes the losses, updates discriminator then generator, and reports.

    Args:
        networks: networks and optimisers.
        style: the style loss, calibrated; None when its weight is 0.
        config: loss weights.
        schema: tells where in the vector brightness stands.
    """

    def __init__(self, networks: Networks, style: StyleLoss | None, config: GanConfig, schema: GuideSchema) -> None:
        self.networks = networks
        self.style = style
        self.loss = config.loss
        self.radius = ring_radius(config.network.size)
        self.column, self.brightness = brightness_column(schema)
        self.ground = schema.columns("background")

    def __call__(self, batch: Batch, noise: Noise, shifts: Tensor, rate: float, index: int) -> dict[str, float]:
        """One update.

        Args:
            batch: see Batch.
            noise: for the N images of the batch, then for `extra` swapped ones, which take the ground of one image and
                the mask and guide of the one before; `extra` is 0 in the literal recipe.
            shifts: (extra,) by which the brightness guide of the swapped images is moved, in vector units.
            rate: learning rate.
            index: number of the step in the run.

        Returns:
            Unweighted loss terms and `d_real`, `d_fake`: the discriminator's mean probabilities.
        """
        p, n = self.networks, len(batch.images)
        extra = len(noise.latent) - n
        other = (torch.arange(extra, device=batch.images.device) + 1) % n
        guides = torch.cat([batch.guides, self._swapped(batch.guides, other, shifts)])
        masks = torch.cat([batch.masks, batch.masks[:extra]])
        conditions = torch.cat([batch.conditions, batch.conditions[:extra]])
        terms: dict[str, Tensor] = {}
        if p.posterior is not None:
            mean, log_variance = p.posterior(batch.images)
            terms["kl"] = kl_to_normal(mean, log_variance)
            whose = torch.cat([torch.arange(n, device=other.device), other])
            noise = Noise(draw(mean[whose], log_variance[whose], noise.latent.float()), noise.texture)
        fake = p.generator(conditions, noise, guides, encoded=True)
        judged = slice(extra, None)  # as many fakes as real images: all swapped ones and the rest reconstructed

        p.discriminator.requires_grad_(True)
        real_logits = p.discriminator(batch.images, batch.masks, batch.guides)
        fake_logits = p.discriminator(fake[judged].detach(), masks[judged], guides[judged])
        d_loss = discriminator_loss(real=real_logits, fake=fake_logits)
        d_loss.backward()  # type: ignore[no-untyped-call]
        if torch.isfinite(d_loss):
            p.discriminator_optimizer.step(rate)
        p.discriminator.requires_grad_(False)

        terms["adversarial"] = generator_loss(p.discriminator(fake[judged], masks[judged], guides[judged]))
        terms["reconstruction"] = reconstruction_loss(fake[:n], batch.images, batch.masks, self.loss.defect_weight)
        if self.style is not None and index % self.loss.style_every == 0:
            with torch.no_grad():
                target = self.style.grams(batch.images)
            targets = [torch.cat([level, level[other]]) for level in target]
            terms["style"] = self.style(fake, targets) * self.loss.style_every
        if self.loss.swap and extra:
            terms["swap"] = ground_loss(fake[n:], batch.images[other], torch.maximum(masks[n:], batch.masks[other]))
        if self.loss.guide and self.brightness is not None and extra:
            shown = brightness_of(fake[n:], masks[n:].float(), self.radius)
            wanted = self.brightness.low + (guides[n:, self.column].float() + 1) / 2 * (
                self.brightness.high - self.brightness.low
            )
            present = masks[n:].flatten(1).any(1)
            terms["guide"] = ((shown - wanted).square() * present).sum() / present.sum().clamp_min(1)
        total = sum(getattr(self.loss, name) * term for name, term in terms.items())
        if not isinstance(total, Tensor):
            raise ValueError("expected at least one loss with a weight, got none; check `loss` in the config")
        total.backward()  # type: ignore[no-untyped-call]
        if torch.isfinite(total):
            p.generator_optimizer.step(rate)
            if p.encoder_optimizer is not None:
                p.encoder_optimizer.step(rate)
        report = {name: float(term.detach()) for name, term in terms.items()}
        report |= {"discriminator": float(d_loss.detach()), "total": float(total.detach())}
        with torch.no_grad():
            report["d_real"] = float(torch.cat([x.flatten() for x in real_logits]).sigmoid().mean())
            report["d_fake"] = float(torch.cat([x.flatten() for x in fake_logits]).sigmoid().mean())
        return report

    def _swapped(self, guides: Tensor, other: Tensor, shifts: Tensor) -> Tensor:
        """Guides of the swapped images: another image's background, and brightness moved at random."""
        mixed = guides[: len(other)].clone()
        first, end = self.ground
        mixed[:, first:end] = guides[other, first:end]
        if self.brightness is not None and self.loss.guide:
            mixed[:, self.column] = (mixed[:, self.column] + shifts.to(guides.dtype)).clamp(-1, 1)
        return mixed


def brightness_column(schema: GuideSchema) -> tuple[int, NumericEntry | None]:
    """Where brightness stands in the guide vector, and its entry; None where it is no guide."""
    column = 0
    for entry in schema.entries:
        if entry.name == "brightness" and isinstance(entry, NumericEntry):
            return column, entry
        column += entry.size
    return 0, None
