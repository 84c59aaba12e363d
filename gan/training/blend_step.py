"""One training step of Magna-Blend: pairs in, a dict of named scalars out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from defects.attributes.guide import GuideSchema, ring_radius
from engine.training.optimizer import MasterAdam
from gan.config import GanConfig
from gan.data.blend_pairs import BlendWindow
from gan.data.diff_augment import jolted
from gan.losses.blend import brightness_near, feature_loss, fooling_loss, hinge_loss, pyramid_loss
from gan.losses.gradient_energy import texture_loss
from gan.networks.blend_discriminator import NEAR
from gan.networks.encoder import draw, kl_to_normal
from gan.networks.magna_generator import Noise
from gan.training.magna_step import brightness_column


@dataclass(frozen=True)
class Pairs:
    """`images`, `backgrounds` and `others` (N, C, S, S) in [-1, 1]; `distances` (N, 1, S, S) signed px; `guides`
    (N, G); `measured` (N,) in {0, 1}: whether the crop shows enough to measure its brightness."""

    images: Tensor
    backgrounds: Tensor
    others: Tensor
    distances: Tensor
    guides: Tensor
    measured: Tensor

    def to(self, device: torch.device) -> Pairs:
        return Pairs(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def to_pairs(windows: list[BlendWindow], schema: GuideSchema) -> Pairs:
    """Windows to tensors on the CPU, channels last."""

    def pixels(arrays: list[np.ndarray]) -> Tensor:
        tensor = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return tensor.contiguous(memory_format=torch.channels_last)

    return Pairs(
        pixels([w.image for w in windows]),
        pixels([w.background for w in windows]),
        pixels([w.other for w in windows]),
        torch.from_numpy(np.stack([w.distance for w in windows])[:, None]),
        torch.from_numpy(np.stack([schema.encode(schema.scale(w.guide)) for w in windows])),
        torch.tensor([float(w.measured) for w in windows]),
    )


def seen_by_encoder(pairs: Pairs) -> Tensor:
    """What the noise has to explain, (N, C + 1, S, S): the change that the defect is, and where."""
    return torch.cat([pairs.images - pairs.backgrounds, (pairs.distances > 0).float()], dim=1)


class BlendStep:
    """Computes the losses, updates discriminator then generator and encoder, and reports.

    Args:
        networks: `generator`, `discriminator` and `posterior`.
        optimizers: their optimisers.
        config: loss weights.
        schema: tells where in the vector brightness stands.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, MasterAdam],
        config: GanConfig,
        schema: GuideSchema,
    ) -> None:
        self.networks, self.optimizers, self.loss = networks, optimizers, config.loss
        self.reach = config.network.reach
        self.radius = ring_radius(config.network.size)
        self.column, self.brightness = brightness_column(schema)

    def __call__(
        self, pairs: Pairs, noise: Noise, shifts: Tensor, jolts: Tensor, rate: float, index: int
    ) -> dict[str, float]:
        """One update.

        Args:
            pairs: see `Pairs`.
            noise: for the N pairs, then for `extra` of their defects on other backgrounds.
            shifts: (extra,) by which the brightness guide of the latter is moved, in vector units.
            jolts: (N, `NUMBERS`) uniform numbers of the differentiable augmentation.
            rate: learning rate.
            index: number of the step in the run.

        Returns:
            Unweighted loss terms and `d_real`, `d_fake`: mean logistic functions of the discriminator's logits.
        """
        del index
        n, extra = len(pairs.images), len(shifts)
        masks = (pairs.distances > 0).float()
        mean, log_variance = self.networks["posterior"](seen_by_encoder(pairs))
        terms: dict[str, Tensor] = {"kl": kl_to_normal(mean, log_variance)}
        whose = torch.cat([torch.arange(n), torch.arange(extra)]).to(mean.device)
        noise = Noise(draw(mean[whose], log_variance[whose], noise.latent.float()), noise.texture)
        guides = torch.cat([pairs.guides, self._shifted(pairs.guides[:extra], shifts)])
        background_stats = torch.cat([pairs.backgrounds, pairs.others[:extra]])
        fake = self.networks["generator"](background_stats, pairs.distances[whose], noise, guides, encoded=True).images

        # Judged are as many fakes as real images, each beside the real one of the same mask.
        judged = torch.cat([fake[n:], fake[extra:n]])
        asked = torch.cat([guides[n:], guides[extra:n]])
        critic = self.networks["discriminator"]
        critic.requires_grad_(True)
        fields = torch.cat([masks, (pairs.distances > -NEAR).float()], dim=1)
        real_seen, fields = jolted(pairs.images, fields, jolts)
        seen, near = fields[:, :1], fields[:, 1:]
        fake_seen, _ = jolted(judged, masks, jolts)
        real = critic(real_seen, seen, pairs.guides)
        told = critic(fake_seen.detach(), seen, asked)
        d_loss = hinge_loss(real=real, fake=told, near=near)
        d_loss.backward()  # type: ignore[no-untyped-call]
        if torch.isfinite(d_loss):
            self.optimizers["discriminator"].step(rate)
        critic.requires_grad_(False)

        verdict = critic(fake_seen, seen, asked)
        terms["adversarial"] = fooling_loss(verdict, near)
        if self.loss.features:
            target, drawn = [v.rest(extra) for v in real], [v.rest(extra) for v in verdict]
            terms["features"] = feature_loss(real=target, fake=drawn, near=near[extra:])
        region = (pairs.distances > -self.reach).float()
        terms["reconstruction"] = pyramid_loss(fake[:n], pairs.images, region)
        if self.loss.texture:
            terms["texture"] = texture_loss(fake[:n], pairs.images, region)
        if self.loss.guide and self.brightness is not None and extra:
            shown = brightness_near(fake[n:], pairs.distances[:extra], self.radius)
            low, high = self.brightness.low, self.brightness.high
            wanted = low + (guides[n:, self.column].float() + 1) / 2 * (high - low)
            counted = pairs.measured[:extra]
            terms["guide"] = ((shown - wanted).square() * counted).sum() / counted.sum().clamp_min(1)
        total = torch.stack([getattr(self.loss, name) * term for name, term in terms.items()]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        if torch.isfinite(total):
            self.optimizers["generator"].step(rate)
            self.optimizers["posterior"].step(rate)
        report = {name: float(term.detach()) for name, term in terms.items()}
        report |= {"discriminator": float(d_loss.detach()), "total": float(total.detach())}
        for name, verdicts in (("d_real", real), ("d_fake", told)):
            report[name] = float(torch.cat([v.logits.detach().flatten() for v in verdicts]).sigmoid().mean())
        return report

    def _shifted(self, guides: Tensor, shifts: Tensor) -> Tensor:
        """Guides with the brightness moved at random."""
        moved = guides.clone()
        if self.brightness is not None and self.loss.guide:
            moved[:, self.column] = (moved[:, self.column] + shifts.to(guides.dtype)).clamp(-1, 1)
        return moved
