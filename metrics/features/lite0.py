"""EfficientNet-Lite0 trained on ImageNet: features offline, for its weights come with a package."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.weights.imagenet import LITE0_SHA256, lite0_weights
from metrics.features.extraction import Extracted, in_micro_batches

_MICRO_BATCH = 16
_PREPROCESSING = "lite0-bicubic-1"


class Lite0:
    """The pooled 1280 features and 1000 logits of timm's `tf_efficientnet_lite0`.

    The whole image is scaled to 224 px, without the crop of ImageNet's evaluation: a defect may lie at the border.

    Args:
        device: Where the network runs.
    """

    name = "efficientnet_lite0"
    size = 224
    dim = 1280
    has_logits = True
    resize = "antialiased bicubic to 224 px"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self.fingerprint = f"{LITE0_SHA256} {_PREPROCESSING} {self._device.type}"
        self._network: Any = None

    def __call__(self, images: Tensor) -> Extracted:
        """Features of uint8 images (N, 3, H, W).

        Raises:
            WeightsError: The package with the weights is missing or damaged.
            ValueError: `images` is no batch of uint8 RGB images.
        """
        if self._network is None:
            self._network = _network().to(self._device)
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            return in_micro_batches(self._run, images, _MICRO_BATCH)

    def _run(self, images: Tensor) -> Extracted:
        pixels = resize_to_lite0(images.to(self._device)).contiguous(memory_format=torch.channels_last)
        pooled = self._network.forward_head(self._network.forward_features(pixels), pre_logits=True)
        logits = self._network.get_classifier()(pooled)
        return Extracted(pooled.float().cpu(), logits.float().cpu())


def resize_to_lite0(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) to float32 (N, 3, 224, 224) in [-1, 1], as the network was trained."""
    side = (Lite0.size, Lite0.size)
    pixels = images.float()
    if images.shape[2:] != side:
        pixels = F.interpolate(pixels, side, mode="bicubic", align_corners=False, antialias=True).clamp_(0, 255)
    return pixels.div_(127.5).sub_(1)


def _network() -> Any:
    import timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    network.load_state_dict(lite0_weights()[0])
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
