"""The features by which FID is defined: Inception-v3 as torch-fidelity runs it, only faster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from metrics.features.extractor import Extracted
from metrics.features.inception_network import FEATURES, INPUT
from metrics.features.inception_onnx import OnnxInception
from metrics.features.inception_torch import TorchInception
from metrics.features.inception_weights import find_inception_weights, folded
from metrics.features.micro_batch import in_micro_batches
from metrics.features.tensorflow_resize import tensorflow_resize

__all__ = ["Inception"]

_MICRO_BATCH = {"cpu": 8, "cuda": 32}
_PREPROCESSING = "inception-tf1-1"


class Inception:
    """torch-fidelity's `inception-v3-compat`: features `2048` and logits `logits_unbiased`.

    Args:
        weights: A file of weights; None for those of an earlier run or else an announced download.
        device: Where the network runs.
        threads: CPU threads of the network; None for one a core.

    Raises:
        WeightsError: There are no weights, or they are not to be trusted.
    """

    name = "inception"
    size = INPUT
    dim = FEATURES
    has_logits = True
    resize = "TensorFlow 1 bilinear to 299 px"

    def __init__(
        self, weights: Path | None = None, device: torch.device | str = "cpu", *, threads: int | None = None
    ) -> None:
        self._weights = find_inception_weights(weights)
        self._device = torch.device(device)
        self._threads = threads
        self._pooled: Callable[[Tensor], Tensor] | None = None
        self._classes = torch.empty(0)
        self.fingerprint = f"{self._weights.sha256} {_PREPROCESSING} {self._device.type}"

    def __call__(self, images: Tensor) -> Extracted:
        """Features of uint8 images (N, 3, H, W).

        Raises:
            WeightsError: The weights were damaged or changed since they were found.
            ValueError: `images` is no batch of uint8 RGB images.
        """
        with torch.inference_mode():
            return in_micro_batches(self._run, images, _MICRO_BATCH[self._device.type])

    def _run(self, images: Tensor) -> Extracted:
        if self._pooled is None:
            self._pooled = self._network()
        features = self._pooled(tensorflow_resize(images.to(self._device), INPUT).sub_(128).div_(128))
        return Extracted(features, features @ self._classes.T)

    def _network(self) -> Callable[[Tensor], Tensor]:
        tensors = self._weights.read()
        self._classes = tensors["fc.weight"].clone()
        if self._device.type == "cpu":
            return OnnxInception(folded(tensors), threads=self._threads)
        return TorchInception(folded(tensors), self._device)
