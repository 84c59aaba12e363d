"""Features of a frozen backbone, of images and of their augmented versions, kept on disk by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from augment.transforms.pipeline import Pipeline, generator_for
from classify.utility.design.views import Image
from defects.masks.width import Mask
from engine.seeding import seed_for
from engine.weights.lite0 import LITE0_SHA256, lite0_weights
from metrics.features.cache import CachedRows, FeatureCache, Row, pixel_key
from metrics.features.extraction import Extracted, in_micro_batches

_MICRO_BATCH = 16
_TOGETHER = 128
_VERSION = "lite0-frozen-1"
_UNKNOWN = np.zeros(0, np.float32)


class Backbone(Protocol):
    """Images to features; equal fingerprints, equal features."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def __call__(self, images: Tensor) -> NDArray[np.float32]:
        """(N, D) of uint8 images (N, 3, S, S), the same for any grouping of the images."""
        ...


class FrozenLite0:
    """The pooled features of EfficientNet-Lite0 at the images' own size, without a resize to ImageNet's.

    Args:
        device: Where the network runs.
    """

    name = "efficientnet_lite0"
    dim = 1280

    def __init__(self, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self.fingerprint = f"{LITE0_SHA256} {_VERSION} {self._device.type}"
        self._network: Any = None

    def __call__(self, images: Tensor) -> NDArray[np.float32]:
        """(N, 1280) of uint8 images (N, 3, S, S).

        Raises:
            WeightsError: The package with the weights is missing or damaged.
        """
        if self._network is None:
            import timm

            self._network = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
            own = self._network.state_dict()
            self._network.load_state_dict({key: value for key, value in lite0_weights()[0].items() if key in own})
            self._network.eval().to(self._device, memory_format=torch.channels_last)
        with torch.inference_mode():
            return in_micro_batches(self._run, images, _MICRO_BATCH).features.numpy()

    def _run(self, images: Tensor) -> Extracted:
        pixels = images.to(self._device).float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        return Extracted(F.adaptive_avg_pool2d(self._network.forward_features(pixels), 1).flatten(1).cpu(), None)


class FrozenFeatures:
    """Features of images and of their augmented versions.

    Version 0 is the image itself. What version v does to an image depends on the image, its mask, the preset and v
    alone, so that it is found in the cache by its pixels.

    Args:
        network: Images to features.
        cache: Where they are kept.
        pipeline: Of the augmented versions.
    """

    def __init__(self, network: Backbone, cache: FeatureCache, pipeline: Pipeline) -> None:
        self._network = network
        self._cache = cache
        self._pipeline = pipeline
        self.dim = network.dim

    def rows(self, images: Iterable[tuple[Image, Mask]], versions: int) -> NDArray[np.float32]:
        """(N, 1 + versions, D) of N images with their masks.

        Raises:
            DataError: An image does not open.
            WeightsError: The weights cannot be had.
        """
        found: list[NDArray[np.float32]] = []
        waiting: dict[bytes, tuple[Image, list[int]]] = {}
        with self._cache.open(self._network.fingerprint) as known:
            for image in self._wanted(images, versions):
                key = pixel_key(image)
                row = None if key in waiting else known.get(key)
                found.append(_UNKNOWN if row is None else row.features)
                if row is None:
                    waiting.setdefault(key, (image, []))[1].append(len(found) - 1)
                if len(waiting) >= _TOGETHER:
                    self._compute(waiting, found, known)
            self._compute(waiting, found, known)
        stacked = np.stack(found) if found else np.zeros((0, self.dim), np.float32)
        return stacked.reshape(-1, 1 + versions, self.dim)

    def _wanted(self, images: Iterable[tuple[Image, Mask]], versions: int) -> Iterator[Image]:
        """Every version of every image, image by image."""
        for image, mask in images:
            yield image
            if versions:
                content = hashlib.sha256(pixel_key(image) + np.packbits(mask).tobytes()).hexdigest()
                for version in range(1, versions + 1):
                    yield self._pipeline(image, mask, generator_for(seed_for(0, "utility", content, version)))[0]

    def _compute(
        self, waiting: dict[bytes, tuple[Image, list[int]]], found: list[NDArray[np.float32]], known: CachedRows
    ) -> None:
        if not waiting:
            return
        batch = np.stack([np.broadcast_to(image, (*image.shape[:2], 3)) for image, _ in waiting.values()])
        values = self._network(torch.from_numpy(batch).permute(0, 3, 1, 2))
        for (key, (_, places)), row in zip(waiting.items(), values, strict=True):
            known.put(key, Row(row, None))
            for place in places:
                found[place] = row
        waiting.clear()
