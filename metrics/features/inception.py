"""The bilinear resize of TensorFlow 1, which Inception for FID was published with: no antialiasing, no half pixels.

Equal bit for bit to torch-fidelity's, which holds the whole result four times; here each row of the image is
interpolated once, not once for every row of the result that reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from metrics.features.extraction import Extracted, in_micro_batches
from metrics.features.inception_backends import OnnxInception, TorchInception
from metrics.features.inception_network import FEATURES, INPUT
from metrics.features.inception_weights import find_inception_weights, folded


def tensorflow_resize(images: Tensor, side: int) -> Tensor:
    """(N, C, H, W) of any type to float32 (N, C, side, side): pixel i is read at i * H / side."""
    pixels = images.float()
    for axis in (3, 2):
        before = images.shape[axis]
        if before == side:
            continue
        shape = [1, 1, 1, 1]
        shape[axis] = side
        at = torch.arange(side, dtype=torch.float32, device=images.device) * torch.tensor(before / side)
        low = at.long()
        start = pixels.index_select(axis, low)
        pixels = pixels.index_select(axis, (low + 1).clamp_max_(before - 1)).sub_(start)
        pixels = pixels.mul_((at - low.float()).view(shape)).add_(start)
    return pixels


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
