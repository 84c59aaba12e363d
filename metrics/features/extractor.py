"""What every feature extractor is, whatever network is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Extracted", "Extractor", "Features"]


class Extracted(NamedTuple):
    """What a network says of a batch.

    Attributes:
        features: (N, D) float32 on the CPU.
        logits: (N, K) float32 on the CPU, before the softmax; None where the network has no classes.
    """

    features: Tensor
    logits: Tensor | None


class Extractor(Protocol):
    """A network that turns images into features; its weights are not read before the first call.

    Attributes:
        name: As in the names of scores: `inception`, `efficientnet_lite0`, `onnx_<stem>`.
        fingerprint: SHA-256 of the weights and the version of what is done to the images: equal fingerprints, equal
            features.
        size: Side of the square the network sees, px.
        dim: D, how many features it has.
        has_logits: Whether there are classes.
        resize: How images come to `size`, to be shown beside a score.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def dim(self) -> int: ...

    @property
    def has_logits(self) -> bool: ...

    @property
    def resize(self) -> str: ...

    def __call__(self, images: Tensor) -> Extracted:
        """Features of uint8 images (N, 3, H, W), the same for any grouping of the images into batches."""
        ...


@dataclass(frozen=True)
class Features:
    """The features of a set of images.

    Attributes:
        name: Of the set.
        extractor: Name of the extractor.
        values: (N, D) float32.
        logits: (N, K) float32, or None.
        resize: How the images came to the network's size.
    """

    name: str
    extractor: str
    values: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    resize: str = ""
