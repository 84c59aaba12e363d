"""Any network exported to ONNX as an extractor; its metadata say how images become its input."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import WeightsError
from engine.files.atomic import from_json, sha256_bytes
from metrics.features.extraction import Extracted, in_micro_batches

logger = logging.getLogger(__name__)

_MEAN, _STD, _SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224  # ImageNet's
_LUMINANCE = (0.299, 0.587, 0.114)  # Rec. 601
_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}


@dataclass(frozen=True)
class NetworkInput:
    """The one input of a network.

    Attributes:
        name: Of the input.
        size: Side of the input, px.
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
        shape of the input and else from ImageNet, and logged.

        Raises:
            WeightsError: There is not one input of images (N, C, S, S), or the metadata contradict it.
        """
        inputs = session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or inputs[0].type not in _TYPES:
            shown = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
            raise WeightsError(
                f"{path}: expected one input of floats (N, C, S, S), got {shown}; export it again",
                code="E-network-input",
            )
        said = _metadata(path, session)
        count, channels, height, width = (side if isinstance(side, int) else None for side in shape)
        size = _agreed(path, "size", said.get("size"), height, _SIZE)
        if width not in (None, size):
            raise WeightsError(
                f"{path}: its input is {width} x {height} px, expected equal sides; export it again",
                code="E-network-input",
            )
        channels = _agreed(path, "channels", said.get("channels"), channels, 3)
        if channels not in (1, 3):
            raise WeightsError(
                f"{path}: its input has {channels} channels, expected 1 or 3; export it again", code="E-network-input"
            )
        mean, std = (_per_channel(path, key, said.get(key), channels) for key in ("mean", "std"))
        missing = [key for key, value in (("mean", mean), ("std", std)) if value is None]
        if height is None and "size" not in said:
            missing.append("size")
        if missing:
            logger.warning("%s: says nothing of %s; ImageNet's are taken", path, ", ".join(missing))
        mean, std = mean or _defaults(_MEAN, channels), std or _defaults(_STD, channels)
        if not all(value > 0 for value in std):
            raise WeightsError(
                f"{path}: its metadata give a std of {std}, expected above 0; export it again",
                code="E-network-metadata",
            )
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
                    f"{path}: its metadata {key!r} is {text!r}, expected JSON; export it again",
                    code="E-network-metadata",
                ) from None
    return said


def _agreed(path: Path, key: str, said: Any, found: int | None, default: int) -> int:
    if said is None:
        return found or default
    if isinstance(said, bool) or not isinstance(said, int) or said < 1:
        raise WeightsError(
            f"{path}: its metadata {key!r} is {said!r}, expected a whole number; export it again",
            code="E-network-metadata",
        )
    if found not in (None, said):
        raise WeightsError(
            f"{path}: its metadata say {key} {said}, its input {found}; export it again", code="E-network-metadata"
        )
    return said


def _per_channel(path: Path, key: str, said: Any, channels: int) -> tuple[float, ...] | None:
    if said is None:
        return None
    try:
        values = np.broadcast_to(np.asarray(said, np.float64), channels)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise WeightsError(
            f"{path}: its metadata {key!r} is {said!r}, expected {channels} numbers; export it again",
            code="E-network-metadata",
        )
    return tuple(float(value) for value in values)


def _defaults(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values if channels == 3 else (sum(values) / len(values),)


FEATURES_OUTPUT = "features"
LOGITS_OUTPUT = "logits"

_MICRO_BATCH = 8


class Network:
    """An .onnx file with one input of images and an output of features, (N, D) or (N, D, 1, 1).

    Args:
        path: The file; weights next to it (external data) are not read.
        device: A CUDA device is used where ONNX Runtime can.
        features: Name of the output of features.
        logits: Name of the output of logits; without it there are none.
        threads: CPU threads; None for one a core.

    Raises:
        WeightsError: The file is missing, no network, or lacks an output or a usable input.
    """

    def __init__(
        self,
        path: Path,
        device: torch.device | str = "cpu",
        *,
        features: str = FEATURES_OUTPUT,
        logits: str = LOGITS_OUTPUT,
        threads: int | None = None,
    ) -> None:
        self._path = path
        self.name = f"onnx_{path.stem}"
        self._session, digest = _open(path, torch.device(device), threads)
        self._outputs = _outputs(path, self._session, features, logits)
        self.has_logits = len(self._outputs) == 2
        self._input = NetworkInput.read(path, self._session)
        self.size = self._input.size
        self.resize = self._input.resize
        self.fingerprint = " ".join((digest, *self._outputs, self._input.fingerprint, torch.device(device).type))
        self.dim = self._dimension()

    def __call__(self, images: Tensor) -> Extracted:
        """Features of uint8 images (N, 3, H, W).

        Raises:
            WeightsError: The network fails on these images or answers in another shape.
            ValueError: `images` is no batch of uint8 RGB images.
        """
        with torch.inference_mode():
            return in_micro_batches(self._run, images, self._input.count or _MICRO_BATCH)

    def _run(self, images: Tensor) -> Extracted:
        pixels = self._input.prepare(images).numpy()
        try:
            values = self._session.run(list(self._outputs), {self._input.name: pixels})
        except Exception as error:  # ONNX Runtime's errors have no common base
            line = " ".join(str(error).split())
            raise WeightsError(
                f"{self._path}: fails on {tuple(pixels.shape)} ({line}); export it again", code="E-network-invalid"
            ) from error
        found = [self._flat(name, value, len(images)) for name, value in zip(self._outputs, values, strict=True)]
        return Extracted(found[0], found[1] if self.has_logits else None)

    def _flat(self, name: str, value: Any, count: int) -> Tensor:
        tensor = torch.from_numpy(value).float()
        if tensor.dim() < 2 or tensor.shape[0] != count or tensor[0].numel() != tensor.shape[1]:
            raise WeightsError(
                f"{self._path}: expected output {name!r} of shape ({count}, D), got {tuple(tensor.shape)}; "
                "export the pooled features",
                code="E-network-output",
            )
        return tensor.reshape(count, -1)

    def _dimension(self) -> int:
        """D as the file states it, or else as the network answers."""
        shape = next(output.shape for output in self._session.get_outputs() if output.name == self._outputs[0])
        if len(shape) >= 2 and isinstance(shape[1], int):
            return shape[1]
        blank = torch.zeros(1, 3, self.size, self.size, dtype=torch.uint8)
        return self(blank).features.shape[1]


def _open(path: Path, device: torch.device, threads: int | None) -> tuple[Any, str]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4  # what goes wrong is one line of our own
    target = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    providers = [name for name in (*target, "CPUExecutionProvider") if name in onnxruntime.get_available_providers()]
    try:
        data = path.read_bytes()
        return onnxruntime.InferenceSession(data, options, providers=providers), sha256_bytes(data)
    except OSError as error:
        raise WeightsError(
            f"{path}: {error.strerror}; give the .onnx file of a network", code="E-weights-unreadable"
        ) from error
    except Exception as error:  # ONNX Runtime's errors have no common base
        line = " ".join(str(error).split())
        raise WeightsError(
            f"{path}: is no network ONNX Runtime can open ({line}); export it again", code="E-network-invalid"
        ) from error


def _outputs(path: Path, session: Any, features: str, logits: str) -> tuple[str, ...]:
    there = [output.name for output in session.get_outputs()]
    if features not in there:
        raise WeightsError(
            f"{path}: has no output {features!r}, only {', '.join(there)}; name the one with the features",
            code="E-network-output",
        )
    if logits in there and logits != features:
        return features, logits
    if logits != LOGITS_OUTPUT:
        raise WeightsError(
            f"{path}: has no output {logits!r}, only {', '.join(there)}; name the one with the logits",
            code="E-network-output",
        )
    return (features,)
