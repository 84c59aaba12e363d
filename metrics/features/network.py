"""Any network that was exported to ONNX: what the user's own classifier sees."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor

from engine.errors import WeightsError
from engine.files import sha256_bytes
from metrics.features.extractor import Extracted
from metrics.features.micro_batch import in_micro_batches
from metrics.features.network_input import NetworkInput

__all__ = ["FEATURES_OUTPUT", "LOGITS_OUTPUT", "Network"]

logger = logging.getLogger(__name__)

FEATURES_OUTPUT = "features"
LOGITS_OUTPUT = "logits"

_MICRO_BATCH = 8


class Network:
    """An .onnx file with one input of images and an output of features, (N, D) or (N, D, 1, 1).

    Args:
        path: The file; weights beside it (external data) are not read.
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
            raise WeightsError(f"{self._path}: fails on {tuple(pixels.shape)} ({line}); export it again") from error
        found = [self._flat(name, value, len(images)) for name, value in zip(self._outputs, values, strict=True)]
        return Extracted(found[0], found[1] if self.has_logits else None)

    def _flat(self, name: str, value: Any, count: int) -> Tensor:
        tensor = torch.from_numpy(value).float()
        if tensor.dim() < 2 or tensor.shape[0] != count or tensor[0].numel() != tensor.shape[1]:
            raise WeightsError(
                f"{self._path}: expected output {name!r} of shape ({count}, D), got {tuple(tensor.shape)}; "
                "export the pooled features"
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
    options.log_severity_level = 4  # what goes wrong is told in one line
    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    providers = [name for name in (*wanted, "CPUExecutionProvider") if name in onnxruntime.get_available_providers()]
    try:
        data = path.read_bytes()
        return onnxruntime.InferenceSession(data, options, providers=providers), sha256_bytes(data)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}; give the .onnx file of a network") from error
    except Exception as error:  # ONNX Runtime's errors have no common base
        line = " ".join(str(error).split())
        raise WeightsError(f"{path}: is no network ONNX Runtime can open ({line}); export it again") from error


def _outputs(path: Path, session: Any, features: str, logits: str) -> tuple[str, ...]:
    there = [output.name for output in session.get_outputs()]
    if features not in there:
        raise WeightsError(
            f"{path}: has no output {features!r}, only {', '.join(there)}; name the one with the features"
        )
    if logits in there and logits != features:
        return features, logits
    if logits != LOGITS_OUTPUT:
        raise WeightsError(f"{path}: has no output {logits!r}, only {', '.join(there)}; name the one with the logits")
    return (features,)
