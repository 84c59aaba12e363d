"""Features of a frozen backbone, cached by the content of the images, and the rows that a training draws from."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from augment.transforms.feature_space import augment_features
from augment.transforms.pipeline import Pipeline
from augment.transforms.plan import generator_for
from classify.utility.design.crop_units import CropUnit
from classify.utility.design.division import Image, views_of
from classify.utility.design.trials import Settings
from defects.images.crops import CropSpec, read_crop
from defects.masks.width import Mask
from defects.sample import GOOD, Sample
from engine.seeding import seed_for
from engine.weights.imagenet import LITE0_SHA256, lite0_weights
from metrics.features.cache import CachedRows, FeatureCache, Row, pixel_key
from metrics.features.extraction import Extracted, in_micro_batches

_MICRO_BATCH = 16
_TOGETHER = 128
_VERSION = "lite0-frozen-1"
_UNKNOWN = np.zeros(0, np.float32)

Ints = NDArray[np.int64]


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
    """The pooled features of EfficientNet-Lite0 at the images' own size, without a resize to ImageNet's."""

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
    """Features of images and of their augmentations.

    Row 0 is the image itself. What augmentation n does to an image depends on the image, its mask, the preset and n
    alone, so that the cache knows it by its pixels.

    Args:
        network: Images to features.
        cache: On disk.
        pipeline: Of the augmentations.
    """

    def __init__(self, network: Backbone, cache: FeatureCache, pipeline: Pipeline) -> None:
        self._network = network
        self._cache = cache
        self._pipeline = pipeline
        self.feature_space = pipeline.config.feature_space
        self.dim = network.dim

    def rows(self, images: Iterable[tuple[Image, Mask]], augmentations: int) -> NDArray[np.float32]:
        """(N, 1 + augmentations, D) of N images with their masks.

        Raises:
            DataError: An image does not open.
            WeightsError: The weights cannot be loaded.
        """
        features: list[NDArray[np.float32]] = []
        waiting: dict[bytes, tuple[Image, list[int]]] = {}
        with self._cache.open(self._network.fingerprint) as known:
            for image in self._augmented(images, augmentations):
                key = pixel_key(image)
                row = None if key in waiting else known.get(key)
                features.append(_UNKNOWN if row is None else row.features)
                if row is None:
                    waiting.setdefault(key, (image, []))[1].append(len(features) - 1)
                if len(waiting) >= _TOGETHER:
                    self._compute(waiting, features, known)
            self._compute(waiting, features, known)
        stacked = np.stack(features) if features else np.zeros((0, self.dim), np.float32)
        return stacked.reshape(-1, 1 + augmentations, self.dim)

    def _augmented(self, images: Iterable[tuple[Image, Mask]], augmentations: int) -> Iterator[Image]:
        """Every image followed by its augmentations."""
        for image, mask in images:
            yield image
            if augmentations:
                content = hashlib.sha256(pixel_key(image) + np.packbits(mask).tobytes()).hexdigest()
                for number in range(1, augmentations + 1):
                    yield self._pipeline(image, mask, generator_for(seed_for(0, "utility", content, number)))[0]

    def _compute(
        self, waiting: dict[bytes, tuple[Image, list[int]]], features: list[NDArray[np.float32]], known: CachedRows
    ) -> None:
        if not waiting:
            return
        batch = np.stack([np.broadcast_to(image, (*image.shape[:2], 3)) for image, _ in waiting.values()])
        values = self._network(torch.from_numpy(batch).permute(0, 3, 1, 2))
        for (key, (_, places)), row in zip(waiting.items(), values, strict=True):
            known.put(key, Row(row, None))
            for place in places:
                features[place] = row
        waiting.clear()


@dataclass(frozen=True)
class Items:
    """Draws: each item n is equally probable, and of it each of the rows `first[n]` to `first[n] + count[n] - 1`."""

    first: Ints
    count: Ints

    def __len__(self) -> int:
        return len(self.first)

    def rows(self, chance: NDArray[np.float64]) -> Ints:
        """Rows for chances (N, 2) in 0..1: of the item, and of the augmentation."""
        which = (chance[:, 0] * len(self)).astype(np.int64)
        return np.asarray(self.first[which] + (chance[:, 1] * self.count[which]).astype(np.int64))


def joined(parts: Sequence[Items]) -> Items:
    """Items of several sets, all equally probable."""
    return Items(np.concatenate([part.first for part in parts]), np.concatenate([part.count for part in parts]))


@dataclass(frozen=True)
class Block:
    """The rows of one set of images.

    Attributes:
        first: Row of each view (N,) without augmentation.
        rows: Rows of each view, itself and its augmentations.
        labels: (N,) 1, 0 or `UNCLEAR`.
        owners: (N,) index of the image of each view.
    """

    first: Ints
    rows: int
    labels: Ints
    owners: Ints

    def items(self, label: int, views: NDArray[np.bool_], *, augmented: bool) -> Items:
        """The views (N,) of a label that are marked."""
        first = self.first[(self.labels == label) & views]
        return Items(first, np.full(len(first), self.rows if augmented else 1, np.int64))


class Bank:
    """Feature rows under running numbers.

    Args:
        features: Of images.
        settings: How images are cropped and how many augmentations they get.
    """

    def __init__(self, features: FrozenFeatures, settings: Settings) -> None:
        self._features = features
        self._settings = settings
        self._pieces: list[NDArray[np.float32]] = []
        self._starts: list[int] = [0]

    def images(
        self,
        samples: Sequence[Sample],
        augmentations: int,
        on_progress: Callable[[int], object] | None = None,
        only: Sequence[CropUnit] | None = None,
    ) -> Block:
        """The crops of images: all, or those of `only`, in that order."""
        labels: list[int] = []
        owners: list[int] = []
        places: dict[int, set[int]] = defaultdict(set)
        for unit in only or ():
            places[unit.owner].add(unit.place)

        def views() -> Iterator[tuple[Image, Mask]]:
            s = self._settings
            for index, sample in enumerate(samples):
                views = views_of(sample, size=s.size, channels=s.channels, crop=s.crop, least=s.least)
                for place, view in enumerate(views):
                    if only is not None and place not in places[index]:
                        continue
                    labels.append(view.label)
                    owners.append(index)
                    yield view.image, view.mask
                if on_progress is not None:
                    on_progress(1)

        return self._add(views(), augmentations, labels, owners)

    def synthetic(
        self, samples: Sequence[Sample], augmentations: int, on_progress: Callable[[int], object] | None = None
    ) -> Block:
        """Synthetic images, each of which is one crop."""
        crop_spec = CropSpec(self._settings.size, None, self._settings.channels)

        def images() -> Iterator[tuple[Image, Mask]]:
            for sample in samples:
                yield read_crop(sample, crop_spec)
                if on_progress is not None:
                    on_progress(1)

        labels = [int(sample.label != GOOD) for sample in samples]
        return self._add(images(), augmentations, labels, list(range(len(samples))))

    def arrays(self, images: Iterator[tuple[Image, Mask]], count: int, augmentations: int) -> Block:
        """`count` defective images in memory."""
        return self._add(images, augmentations, [1] * count, list(range(count)))

    def with_points(self, positives: Items, negatives: Items, seed: int) -> tuple[Items, Items]:
        """The items with new points between or around them, as the preset's `feature_space` says.

        The points start from the images themselves, not from their augmentations; defective and good ones get equally
        many, each of which is sampled as often as an image is.
        """
        space = self._features.feature_space
        if space is None:
            return positives, negatives
        first = np.concatenate([positives.first, negatives.first])
        labels = ["defective"] * len(positives) + ["good"] * len(negatives)
        values, named = augment_features(self.take(first), labels, method=space.method, factor=space.factor, seed=seed)
        points, start = values[len(first) :].astype(np.float32), self._starts[-1]
        self._pieces.append(points)
        self._starts.append(start + len(points))
        rows, defective = start + np.arange(len(points)), np.asarray(named[len(first) :]) == "defective"
        more = [Items(rows[own], np.ones(int(own.sum()), np.int64)) for own in (defective, ~defective)]
        return joined([positives, more[0]]), joined([negatives, more[1]])

    def take(self, rows: Ints) -> NDArray[np.float32]:
        """The features (N, D) of rows (N,)."""
        values = np.empty((len(rows), self._features.dim), np.float32)
        piece = np.searchsorted(self._starts, rows, side="right") - 1
        for index in np.unique(piece):
            own = piece == index
            values[own] = self._pieces[index][rows[own] - self._starts[index]]
        return values

    def forget(self, blocks: int) -> None:
        """Lets go of the last blocks that were added."""
        del self._pieces[len(self._pieces) - blocks :], self._starts[len(self._starts) - blocks :]

    def __len__(self) -> int:
        return len(self._pieces)

    def _add(
        self, images: Iterator[tuple[Image, Mask]], augmentations: int, labels: list[int], owners: list[int]
    ) -> Block:
        values = self._features.rows(images, augmentations)
        start = self._starts[-1]
        self._pieces.append(values.reshape(-1, self._features.dim))
        self._starts.append(start + values.shape[0] * values.shape[1])
        first = start + (1 + augmentations) * np.arange(len(values), dtype=np.int64)
        return Block(first, 1 + augmentations, np.asarray(labels, np.int64), np.asarray(owners, np.int64))
