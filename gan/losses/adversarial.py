"""The adversarial, reconstruction, swap and guide terms as pure functions, and the loss of Magna's generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from defects.attributes.appearance import brightness_tensor
from defects.attributes.guide import GuideSchema, NumericEntry
from gan.losses.style import StyleLoss


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
        fake: Generated images (N, C, S, S).
        real: Their paired images (N, C, S, S).
        masks: True masks (N, 1, S, S).
        defect_weight: 1 is the term of the paper. A defect covers a few per mille of an image, so that the plain mean
            hardly sees it.
    """
    error = (fake.float() - real.float()).pow(2)
    if defect_weight == 1.0:
        return error.mean()
    weight = 1 + (defect_weight - 1) * F.max_pool2d(masks.float(), 5, stride=1, padding=2)
    return (error * weight).mean()


def background_loss(fake: Tensor, real: Tensor, masks: Tensor) -> Tensor:
    """Squared L2 outside the masks and 4 px around them: the background of `real` under another defect.

    `fake` and `real` (N, C, S, S); `masks` (N, 1, S, S), the union of both images' defects.
    """
    free = 1 - F.max_pool2d(masks.float(), 9, stride=1, padding=4)
    error = (fake.float() - real.float()).pow(2).mean(dim=1, keepdim=True)
    return (error * free).sum() / free.sum().clamp_min(1)


@dataclass(frozen=True)
class BrightnessGuide:
    """Where brightness stands in the guide vector, and the raw values of -1 and 1."""

    column: int
    low: float
    high: float

    @classmethod
    def of(cls, schema: GuideSchema) -> BrightnessGuide | None:
        """That of a schema; None where brightness is no guide."""
        entry = next((entry for entry in schema.entries if entry.name == "brightness"), None)
        return cls(schema.columns(entry.name)[0], entry.low, entry.high) if isinstance(entry, NumericEntry) else None

    def loss(self, fake: Tensor, masks: Tensor, guides: Tensor, counted: Tensor, radius: int) -> Tensor:
        """Mean squared error of brightness over the images that count.

        `fake` (N, C, H, W) in [-1, 1], `masks` (N, 1, H, W), `guides` (N, G), `counted` (N,) in {0, 1}; the ring in
        which brightness is measured has the radius in px.
        """
        requested = self.low + (guides[:, self.column].float() + 1) / 2 * (self.high - self.low)
        error = brightness_tensor((fake + 1) / 2, masks, radius) - requested
        return (error.pow(2) * counted).sum() / counted.sum().clamp_min(1)

    def shifted(self, guides: Tensor, shifts: Tensor) -> Tensor:
        """Guide vectors (N, G) with their brightness moved by `shifts` (N,), in vector units."""
        moved = guides.clone()
        moved[:, self.column] = (moved[:, self.column] + shifts.to(guides.dtype)).clamp(-1, 1)
        return moved


def weighted_total(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The sum of the terms times their weights.

    Raises:
        ValueError: There is no term.
    """
    total = sum(weights[name] * term for name, term in terms.items())
    if not isinstance(total, Tensor):
        raise ValueError("expected at least one loss with a weight, got none; check `loss` in the config")
    return total


class MagnaLoss:
    """The terms of Magna's generator and encoder.

    Args:
        reconstruction: Weight of `reconstruction_loss`.
        adversarial: Of `generator_loss`.
        style: Of the style term.
        kl: Of the encoder's divergence.
        swap: Of `background_loss`; 0 leaves it out.
        guide: Of the squared error of brightness; 0 leaves it out.
        style_every: Steps between style terms, which then weigh as many times more.
        defect_weight: See `reconstruction_loss`.
        style_loss: The calibrated style loss; None leaves it out.
        brightness: Where brightness stands in the guide vector; None leaves the guide term out.
        radius: Of the ring in which brightness is measured, px.
    """

    def __init__(
        self,
        *,
        reconstruction: float,
        adversarial: float,
        style: float = 0.0,
        kl: float = 0.0,
        swap: float = 0.0,
        guide: float = 0.0,
        style_every: int = 1,
        defect_weight: float = 1.0,
        style_loss: StyleLoss | None = None,
        brightness: BrightnessGuide | None = None,
        radius: int = 3,
    ) -> None:
        self.weights = {
            "reconstruction": reconstruction,
            "adversarial": adversarial,
            "style": style,
            "kl": kl,
            "swap": swap,
            "guide": guide,
        }
        self.style_every, self.defect_weight, self.style_loss = style_every, defect_weight, style_loss
        self.brightness, self.radius = brightness if guide else None, radius

    def __call__(
        self,
        fake: Tensor,
        images: Tensor,
        masks: Tensor,
        guides: Tensor,
        other: Tensor,
        logits: Sequence[Tensor],
        index: int,
    ) -> dict[str, Tensor]:
        """The unweighted terms, but for the encoder's.

        Args:
            fake: (N + E, C, S, S) generated images, the last E with swapped backgrounds.
            images: (N, C, S, S) real ones.
            masks: (N + E, 1, S, S) of the generated ones.
            guides: (N + E, G) of the generated ones.
            other: (E,) numbers of the images whose backgrounds are taken.
            logits: Of the discriminator for generated images, each scale.
            index: Number of the step in the run.
        """
        n = len(images)
        terms = {
            "adversarial": generator_loss(logits),
            "reconstruction": reconstruction_loss(fake[:n], images, masks[:n], self.defect_weight),
        }
        if self.style_loss is not None and index % self.style_every == 0:
            with torch.no_grad():
                target = self.style_loss.grams(images)
            targets = [torch.cat([level, level[other]]) for level in target]
            terms["style"] = self.style_loss(fake, targets) * self.style_every
        if self.weights["swap"] and len(other):
            union = torch.maximum(masks[n:], masks[:n][other])
            terms["swap"] = background_loss(fake[n:], images[other], union)
        if self.brightness is not None and len(other):
            present = masks[n:].flatten(1).any(1)
            terms["guide"] = self.brightness.loss(fake[n:], masks[n:], guides[n:], present, self.radius)
        return terms
