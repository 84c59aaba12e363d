"""One training step of Magna-Blend: pairs in, a dict of named scalars out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from defects.attributes.appearance import ring_radius
from defects.attributes.guide import GuideSchema
from gan.config import BlendLossConfig, BlendNetwork, GanConfig
from gan.data.blend_pairs import BlendPair
from gan.data.diff_augment import augment_alike
from gan.losses.adversarial import BrightnessGuide
from gan.losses.blend import BlendLoss, hinge_loss
from gan.networks.blend_discriminator import NEAR
from gan.networks.encoder import kl_to_normal, reparameterize
from gan.networks.magna_generator import Noise
from gan.training.magna_step import Networks, Optimizers, report, update


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


def to_pairs(pairs: list[BlendPair], schema: GuideSchema) -> Pairs:
    """Pairs to tensors on the CPU, channels last."""

    def pixels(arrays: list[np.ndarray]) -> Tensor:
        tensor = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return tensor.contiguous(memory_format=torch.channels_last)

    return Pairs(
        pixels([pair.image for pair in pairs]),
        pixels([pair.background for pair in pairs]),
        pixels([pair.other for pair in pairs]),
        torch.from_numpy(np.stack([pair.distance for pair in pairs])[:, None]),
        torch.from_numpy(np.stack([schema.encode(schema.scale(pair.guide)) for pair in pairs])),
        torch.tensor([float(pair.measured) for pair in pairs]),
    )


def encoder_input(pairs: Pairs) -> Tensor:
    """What the noise has to explain, (N, C + 1, S, S): the change that the defect is, and where."""
    return torch.cat([pairs.images - pairs.backgrounds, (pairs.distances > 0).float()], dim=1)


class BlendStep:
    """Computes the losses, updates discriminator then generator and encoder, and reports.

    Args:
        networks: `generator`, `discriminator` and `posterior`: the encoder.
        optimizers: Theirs.
        loss: Of the generator.
    """

    def __init__(self, networks: Networks, optimizers: Optimizers, loss: BlendLoss) -> None:
        self.networks, self.optimizers, self.loss = networks, optimizers, loss
        self.weights: Mapping[str, float] = loss.weights

    @classmethod
    def build(cls, networks: Networks, optimizers: Optimizers, config: GanConfig, schema: GuideSchema) -> BlendStep:
        """The step of a configuration."""
        assert isinstance(config.loss, BlendLossConfig)
        assert isinstance(config.network, BlendNetwork)
        loss = BlendLoss(
            **config.loss.model_dump(),
            brightness=BrightnessGuide.of(schema),
            radius=ring_radius(config.network.size),
            blend_radius=config.network.blend_radius,
        )
        return cls(networks, optimizers, loss)

    def __call__(self, pairs: Pairs, noise: Noise, shifts: Tensor, draws: Tensor, rate: float) -> dict[str, float]:
        """One update.

        Args:
            pairs: See `Pairs`.
            noise: For the N pairs, then for E of their defects on other backgrounds.
            shifts: (E,) by which the brightness guide of the latter is moved, in vector units.
            draws: (N, `NUMBERS`) uniform numbers of the differentiable augmentation.
            rate: Learning rate.

        Returns:
            Unweighted loss terms and `d_real`, `d_fake`: mean logistic functions of the discriminator's logits.
        """
        n, extra = len(pairs.images), len(shifts)
        masks = (pairs.distances > 0).float()
        mean, log_variance = self.networks["posterior"](encoder_input(pairs))
        terms: dict[str, Tensor] = {"kl": kl_to_normal(mean, log_variance)}
        source = torch.cat([torch.arange(n), torch.arange(extra)]).to(mean.device)
        latent = reparameterize(mean[source], log_variance[source], noise.latent.float())
        noise = Noise(latent, noise.texture)
        brightness, swapped = self.loss.brightness, pairs.guides[:extra]
        moved = swapped.clone() if brightness is None else brightness.shifted(swapped, shifts)
        guides = torch.cat([pairs.guides, moved])
        backgrounds = torch.cat([pairs.backgrounds, pairs.others[:extra]])
        generated = self.networks["generator"](backgrounds, pairs.distances[source], noise, guides, encoded=True)
        fake = generated.images

        # The discriminator sees as many fakes as real images, each next to the real one of the same mask.
        shown = torch.cat([fake[n:], fake[extra:n]])
        shown_guides = torch.cat([guides[n:], guides[extra:n]])
        discriminator = self.networks["discriminator"]
        discriminator.requires_grad_(True)
        fields = torch.cat([masks, (pairs.distances > -NEAR).float()], dim=1)
        real_images, fields = augment_alike(pairs.images, fields, draws)
        shown_masks, near = fields[:, :1], fields[:, 1:]
        fake_images, _ = augment_alike(shown, masks, draws)
        real = discriminator(real_images, shown_masks, pairs.guides)
        detached = discriminator(fake_images.detach(), shown_masks, shown_guides)
        d_loss = hinge_loss(real=real, fake=detached, near=near)
        update(d_loss, [self.optimizers["discriminator"]], rate)
        discriminator.requires_grad_(False)

        outputs = discriminator(fake_images, shown_masks, shown_guides)
        terms |= self.loss(
            fake,
            pairs.images,
            pairs.distances,
            guides,
            pairs.measured,
            real_outputs=real,
            fake_outputs=outputs,
            near=near,
        )
        total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        update(total, [self.optimizers["generator"], self.optimizers["posterior"]], rate)
        real_logits, fake_logits = (
            torch.cat([scale.logits.detach().flatten() for scale in scales]) for scales in (real, detached)
        )
        return report(terms, total, d_loss, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean())
