"""The features of a set of images: images are opened while the network runs, and known ones are not computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from defects.sample import Sample
from engine.errors import DataError
from metrics.features.cache import CachedRows, FeatureCache, pixel_key
from metrics.features.extractor import Extractor, Features
from metrics.features.read_ahead import read_ahead
from metrics.features.segment import Row

__all__ = ["Images", "extract"]

Image = NDArray[np.uint8]


class Images(Protocol):
    """What is asked of a set of images."""

    @property
    def name(self) -> str: ...

    @property
    def samples(self) -> Sequence[Sample]: ...

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[Image]:
        """Images (B, S, S, C) in order."""
        ...


def extract(
    images: Images,
    extractor: Extractor,
    *,
    cache: FeatureCache,
    batch_size: int = 32,
    on_progress: Callable[[int], None] | None = None,
) -> Features:
    """Features, and logits where the extractor has them, in the order of the images.

    Args:
        images: The set; grey images are repeated three times.
        extractor: The network.
        cache: `FeatureCache(None)` keeps nothing.
        batch_size: How many images go to the extractor at once; it does not change the features.
        on_progress: Called with how many more images are done.

    Raises:
        DataError: The set is empty, an image does not open, or the network answers with NaN or infinity.
        WeightsError: The network's weights cannot be had.
    """
    if not len(images):
        raise DataError(f"{images.name}: holds no images; give a folder with some")
    with cache.open(extractor.fingerprint) as known:
        rows = _Rows(images, extractor, known, on_progress)
        with closing(read_ahead(images.batches(batch_size))) as batches:
            for batch in batches:
                for image in batch:
                    rows.take(image)
                    if len(rows.waiting) >= batch_size:
                        rows.compute()
        rows.compute()
    return Features(images.name, extractor.name, rows.features, rows.logits, extractor.resize)


class _Rows:
    """The arrays being filled, and the images whose rows are not known yet."""

    def __init__(
        self, images: Images, extractor: Extractor, known: CachedRows, on_progress: Callable[[int], None] | None
    ) -> None:
        self._images = images
        self._extractor = extractor
        self._known = known
        self._on_progress = on_progress
        self._taken = 0
        self.waiting: dict[bytes, tuple[Image, list[int]]] = {}
        self.features = np.empty((len(images), extractor.dim), np.float32)
        self.logits: NDArray[np.float32] | None = None

    def take(self, image: Image) -> None:
        """The next image: its row is filled in if it is known."""
        index, key = self._taken, pixel_key(image)
        self._taken += 1
        if key in self.waiting:
            self.waiting[key][1].append(index)
            return
        row = self._known.get(key)
        if row is None:
            self.waiting[key] = image, [index]
        else:
            self._fill([index], row)

    def compute(self) -> None:
        """Runs the network on what is waiting."""
        if not self.waiting:
            return
        batch = np.stack([np.broadcast_to(image, (*image.shape[:2], 3)) for image, _ in self.waiting.values()])
        features, logits = self._extractor(torch.from_numpy(batch).permute(0, 3, 1, 2))
        for at, (key, (_, indices)) in enumerate(self.waiting.items()):
            row = Row(features[at].numpy(), None if logits is None else logits[at].numpy())
            if not all(np.isfinite(values).all() for values in row if values is not None):
                where = self._images.samples[indices[0]].image
                raise DataError(
                    f"{where}: {self._extractor.name} gives NaN or infinite features for it; "
                    "remove the image, or choose another extractor"
                )
            self._known.put(key, row)
            self._fill(indices, row)
        self.waiting = {}

    def _fill(self, indices: list[int], row: Row) -> None:
        self.features[indices] = row.features
        if row.logits is not None:
            if self.logits is None:
                self.logits = np.empty((len(self._images), len(row.logits)), np.float32)
            self.logits[indices] = row.logits
        if self._on_progress is not None:
            self._on_progress(len(indices))
