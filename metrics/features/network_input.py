"""How images become the input of an exported network, as its own metadata says."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import WeightsError
from engine.files import from_json

__all__ = ["NetworkInput"]

logger = logging.getLogger(__name__)

_MEAN, _STD, _SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224  # ImageNet's
_LUMINANCE = (0.299, 0.587, 0.114)  # Rec. 601
_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}


@dataclass(frozen=True)
class NetworkInput:
    """The one input of a network.

    Attributes:
        name: Of the input.
        size: Side of the square, px.
        channels: 1 (Rec. 601 luminance) or 3.
        mean: Of each channel, for pixels in [0, 1].
        std: Of each channel, for pixels in [0, 1].
        count: How many images it takes at once; None for any number.
        type: Of its numbers.
    """

    name: str
    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    count: int | None
    type: torch.dtype

    @property
    def resize(self) -> str:
        """How images come to the size."""
        return f"antialiased bilinear to {self.size} px"

    @property
    def fingerprint(self) -> str:
        """All that changes the pixels."""
        return f"network-bilinear-1 {self.size} {self.channels} {self.mean} {self.std}"

    @classmethod
    def read(cls, path: Path, session: Any) -> NetworkInput:
        """Reads the metadata `mean`, `std`, `size` and `channels` (JSON); what is missing there is taken from the
        shape of the input and else from ImageNet, and told.

        Raises:
            WeightsError: There is not one input of images (N, C, S, S), or the metadata contradict it.
        """
        inputs = session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or inputs[0].type not in _TYPES:
            shown = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
            raise WeightsError(f"{path}: expected one input of floats (N, C, S, S), got {shown}; export it again")
        said = _metadata(path, session)
        count, channels, height, width = (side if isinstance(side, int) else None for side in shape)
        size = _agreed(path, "size", said.get("size"), height, _SIZE)
        if width not in (None, size):
            raise WeightsError(f"{path}: its input is {width} x {height} px, not square; export it again")
        channels = _agreed(path, "channels", said.get("channels"), channels, 3)
        if channels not in (1, 3):
            raise WeightsError(f"{path}: its input has {channels} channels, expected 1 or 3; export it again")
        mean, std = (_per_channel(path, key, said.get(key), channels) for key in ("mean", "std"))
        missing = [key for key, value in (("mean", mean), ("std", std)) if value is None]
        if height is None and "size" not in said:
            missing.append("size")
        if missing:
            logger.warning("%s: says nothing of %s; ImageNet's are taken", path, ", ".join(missing))
        mean, std = mean or _defaults(_MEAN, channels), std or _defaults(_STD, channels)
        if not all(value > 0 for value in std):
            raise WeightsError(f"{path}: its metadata give a std of {std}, expected above 0; export it again")
        return cls(inputs[0].name, size, channels, mean, std, count, _TYPES[inputs[0].type])

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) to the network's input."""
        pixels = images.float()
        if self.channels == 1:
            pixels = (pixels * torch.tensor(_LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)
        if images.shape[2:] != (self.size, self.size):
            side = (self.size, self.size)
            pixels = F.interpolate(pixels, side, mode="bilinear", align_corners=False, antialias=True)
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return pixels.div_(255).sub_(mean).div_(std).to(self.type).contiguous()


def _metadata(path: Path, session: Any) -> dict[str, Any]:
    said = {}
    for key, text in session.get_modelmeta().custom_metadata_map.items():
        if key in ("mean", "std", "size", "channels"):
            try:
                said[key] = from_json(text)
            except ValueError:
                raise WeightsError(
                    f"{path}: its metadata {key!r} is {text!r}, expected JSON; export it again"
                ) from None
    return said


def _agreed(path: Path, key: str, said: Any, found: int | None, default: int) -> int:
    if said is None:
        return found or default
    if isinstance(said, bool) or not isinstance(said, int) or said < 1:
        raise WeightsError(f"{path}: its metadata {key!r} is {said!r}, expected a whole number; export it again")
    if found not in (None, said):
        raise WeightsError(f"{path}: its metadata say {key} {said}, its input {found}; export it again")
    return said


def _per_channel(path: Path, key: str, said: Any, channels: int) -> tuple[float, ...] | None:
    if said is None:
        return None
    try:
        values = np.broadcast_to(np.asarray(said, np.float64), channels)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise WeightsError(f"{path}: its metadata {key!r} is {said!r}, expected {channels} numbers; export it again")
    return tuple(float(value) for value in values)


def _defaults(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values if channels == 3 else (sum(values) / len(values),)
