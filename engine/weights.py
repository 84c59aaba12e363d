"""Pretrained weights: a given file, or an announced and hash-checked download; never random numbers."""

from __future__ import annotations

import logging
import os
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from engine.errors import WeightsError
from engine.files import sha256_bytes, sha256_file

if TYPE_CHECKING:
    import torch

__all__ = ["STYLE_WEIGHTS_VARIABLE", "style_vgg_weights"]

logger = logging.getLogger(__name__)

STYLE_WEIGHTS_VARIABLE = "MAGNA_STYLE_WEIGHTS"

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
    """The convolutions of a trained VGG-16, for RGB in [0, 1] normalised by ImageNet mean and standard deviation.

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
    return _checked(tensors, name), name


def _from_file(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    if path.suffix != ".safetensors":
        raise WeightsError(f"{path}: style weights are read from .safetensors only; convert the file or give another")
    try:
        data = path.read_bytes()
        return load(data), f"{path.name} sha256:{sha256_bytes(data)}"
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}; give a safetensors file by --style-weights FILE") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"{path}: is no safetensors file ({error}); give another by --style-weights FILE") from error


def _from_torchvision() -> tuple[dict[str, torch.Tensor], str]:
    import torch
    from torchvision.models import VGG16_Weights

    url = VGG16_Weights.IMAGENET1K_V1.url
    file_name = url.rsplit("/", 1)[-1]
    file = Path(torch.hub.get_dir(), "checkpoints", file_name)
    if not file.is_file():
        logger.warning("downloading the ImageNet VGG-16 (528 MB) from %s to %s", url, file)
    try:
        tensors = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError, ValueError, EOFError, HTTPException, UnpicklingError) as error:
        what = " ".join(str(error).split())
        raise WeightsError(f"{url}: cannot be had ({what}); give the weights by --style-weights FILE") from error
    digest = sha256_file(file)
    if not digest.startswith(file_name.rsplit("-", 1)[-1].removesuffix(".pth")):
        raise WeightsError(f"{file}: its sha256 is not that in its name; remove the file and run again")
    return tensors, f"torchvision {VGG16_Weights.IMAGENET1K_V1} {file_name} sha256:{digest}"


def _checked(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    checked = {}
    for position, (out, channels) in _CONVOLUTIONS.items():
        for key, shape in (
            (f"features.{position}.weight", (out, channels, 3, 3)),
            (f"features.{position}.bias", (out,)),
        ):
            if key not in tensors:
                raise WeightsError(f"{name}: lacks {key}; give the convolutions of torchvision's vgg16")
            if tuple(tensors[key].shape) != shape:
                got = tuple(tensors[key].shape)
                raise WeightsError(f"{name}: expected {key} of shape {shape}, got {got}; give torchvision's vgg16")
            checked[key] = tensors[key].float()
    return checked
