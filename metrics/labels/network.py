"""The evaluator's network and settings: a U-Net with an EfficientNet-Lite0 encoder and a full-resolution branch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, cast

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.seeding import seed_for

_ENCODER = "tu-tf_efficientnet_lite0"
_STRIDE = 32
_DECODER = (128, 64, 32, 24, 16)
_FINE = 16


class DefectNet(nn.Module):
    """Images (N, 3, S, S) in [0, 1] to defect logits (N, 1, S, S).

    The encoder's first layer halves the image, so a line of one pixel would be placed by guessing: two convolutions
    that keep the resolution look at it too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unet = smp.Unet(_ENCODER, encoder_weights=None, decoder_channels=_DECODER, classes=_FINE)
        self.fine = _layer(3, _FINE)
        self.joined = _layer(2 * _FINE, _FINE)
        self.last = nn.Conv2d(_FINE, 1, 1, bias=False)
        # Defects are rare: begun at one pixel in fifty, the first steps need not unlearn a half-white image.
        self.level = nn.Parameter(torch.tensor(-math.log(49)))

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        bottom, right = -height % _STRIDE, -width % _STRIDE
        pixels = F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images
        pixels = pixels * 2 - 1
        logits: Tensor = self.last(self.joined(torch.cat([self.unet(pixels), self.fine(pixels)], dim=1)))
        logits = logits + self.level
        return logits[..., :height, :width]


def build_network(seed: int, weights: dict[str, Tensor] | None) -> DefectNet:
    """The network, its new layers initialized from the seed.

    Args:
        seed: Of the weights that are not given.
        weights: ImageNet weights of timm's `tf_efficientnet_lite0` for the encoder; None draws the encoder too.
    """
    # Layers initialize from PyTorch's global generator, whose state is restored afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "segmenter", "weights"))
        network = DefectNet()
    if weights is not None:
        encoder = network.unet.encoder.model
        encoder.load_state_dict({name: weights[name] for name in encoder.state_dict()})
    _keep_depthwise_single(network.unet.encoder)
    return network


class _Single(nn.Module):
    """A layer that stays in float32 under autocast."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return cast(Tensor, self.layer(images.float()))


def _layer(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True))


def _keep_depthwise_single(module: nn.Module) -> None:
    """Depthwise convolutions in float32: their bfloat16 gradients take 4 to 9 times as long on a CPU with AMX."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and child.groups > 1:
            setattr(module, name, _Single(child))
        else:
            _keep_depthwise_single(child)


@dataclass(frozen=True)
class SegmenterSettings:
    """Everything but the images that decides the trained weights.

    Attributes:
        steps: Optimizer steps.
        batch: Windows a step.
        good_share: Share of a batch that shows no defect, where there are good images.
        learning_rate: Highest rate of the decoder; the encoder's is a third when it is pretrained.
        weight_decay: Of AdamW.
        warmup: Steps in which the rate rises.
        average: Decay of the running average of the weights, which are the result.
        pretrained: Whether the encoder starts from ImageNet.
        seed: Of weights, order and variation.
    """

    steps: int = 1000
    batch: int = 8
    good_share: float = 0.375
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: int = 50
    average: float = 0.99
    pretrained: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2:
            raise ValueError(
                f"expected at least 1 step and batches of 2, got {self.steps} and {self.batch}; raise them"
            )
        if not 0 <= self.good_share < 1:
            raise ValueError(f"expected a share of good images from 0 to below 1, got {self.good_share}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
