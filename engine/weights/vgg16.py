"""The convolutions of a trained VGG-16, for the style loss."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from engine.weights.download import expect_shapes, fetch, read_safetensors

if TYPE_CHECKING:
    import torch

STYLE_WEIGHTS_VARIABLE = "MAGNA_STYLE_WEIGHTS"
_FLAG = "--style-weights"

# Position in torchvision's vgg16().features: (channels out, channels in).
_CONVOLUTIONS = {
    0: (64, 3),
    2: (64, 64),
    5: (128, 64),
    7: (128, 128),
    10: (256, 128),
    12: (256, 256),
    14: (256, 256),
    17: (512, 256),
    19: (512, 512),
    21: (512, 512),
    24: (512, 512),
    26: (512, 512),
    28: (512, 512),
}


def style_vgg_weights(path: str | Path | None = None) -> tuple[dict[str, torch.Tensor], str]:
    """The convolutions of a trained VGG-16, for RGB in [0, 1] normalized by ImageNet mean and standard deviation.

    Args:
        path: A safetensors file; None for the file named by MAGNA_STYLE_WEIGHTS or, without it, torchvision's
            ImageNet VGG-16, fetched once into the torch hub's cache.

    Returns:
        Float32 tensors `features.N.weight` and `features.N.bias`, and a name with the file's SHA-256 for the record.

    Raises:
        WeightsError: The file is missing, of another network, or cannot be fetched.
    """
    given = path or os.environ.get(STYLE_WEIGHTS_VARIABLE)
    tensors, name = _from_file(Path(given)) if given else _from_torchvision()
    shapes: dict[str, tuple[int, ...]] = {}
    for position, (out, channels) in _CONVOLUTIONS.items():
        shapes[f"features.{position}.weight"] = (out, channels, 3, 3)
        shapes[f"features.{position}.bias"] = (out,)
    return expect_shapes(tensors, shapes, name=name, remedy="give torchvision's vgg16"), name


def _from_file(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    tensors, digest = read_safetensors(path, what="style weights", remedy=f"give a safetensors file by {_FLAG} FILE")
    return tensors, f"{path.name} sha256:{digest}"


def _from_torchvision() -> tuple[dict[str, torch.Tensor], str]:
    from torchvision.models import VGG16_Weights

    weights = VGG16_Weights.IMAGENET1K_V1
    tensors, file, digest = fetch(weights.url, what="the ImageNet VGG-16 (528 MB)", flag=_FLAG)
    return tensors, f"torchvision {weights} {file.name} sha256:{digest}"
