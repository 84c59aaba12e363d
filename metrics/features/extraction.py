"""Features of images: the protocol of extractors, sets of images, and the extraction itself."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import groupby, islice
from os import PathLike
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from defects.formats.listing import EXTENSIONS
from defects.images.decode import read_image
from defects.sample import Image, Sample
from engine.errors import DataError
from metrics.features.cache import CachedRows, FeatureCache, Row, pixel_key


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
        size: Side of the network's input, px.
        dim: D, how many features it has.
        has_logits: Whether there are classes.
        resize: How images come to `size`, to be shown next to a score.
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


def in_micro_batches(network: Callable[[Tensor], Extracted], images: Tensor, count: int) -> Extracted:
    """Runs a network on `count` images at a time; (N, 3, H, W) to (N, D) and (N, K).

    Raises:
        ValueError: `images` is no batch of uint8 RGB images.
    """
    refuse_other_images(images)
    parts = []
    for start in range(0, len(images), count):
        group = images[start : start + count]
        retained = len(group)
        if retained < count:
            group = torch.cat([group, group[:1].expand(count - retained, -1, -1, -1)])
        features, logits = network(group)
        parts.append(Extracted(features[:retained], None if logits is None else logits[:retained]))
    every_logits = [part.logits for part in parts if part.logits is not None]
    return Extracted(torch.cat([part.features for part in parts]), torch.cat(every_logits) if every_logits else None)


def refuse_other_images(images: Tensor) -> None:
    """Raises ValueError unless the tensor is uint8 (N, 3, H, W) with at least one image."""
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3 or not images.numel():
        raise ValueError(
            f"expected uint8 images (N, 3, H, W), got {images.dtype} {tuple(images.shape)}; repeat gray three times"
        )


T = TypeVar("T")

_WAITING = 2
_END = object()


def read_ahead(items: Iterator[T]) -> Generator[T]:
    """The same items in the same order, up to three of them computed ahead.

    An exception of `items` is raised here, after the items before it. When this generator is closed early, no more
    items are computed.
    """
    ready: Queue[object] = Queue(_WAITING)
    stopped = Event()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            for item in items:
                ready.put(item)
                if stopped.is_set():
                    return
        except BaseException as error:
            failure.append(error)
        ready.put(_END)

    thread = Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            yield item  # type: ignore[misc]
        if failure:
            raise failure[0]
    finally:
        stopped.set()
        while thread.is_alive():
            if not ready.empty():
                ready.get()
            thread.join(timeout=0.01)


class Images(Protocol):
    """What features are extracted from."""

    @property
    def name(self) -> str: ...

    @property
    def samples(self) -> Sequence[Sample]: ...

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[Image]:
        """Images (B, S, S, C) in order."""
        ...


class ImageFiles:
    """The image files below a folder as they are, opened on demand; hidden files and folders are left out.

    Args:
        folder: Searched to any depth; of a folder with `images/`, such as a sample folder, that subfolder alone.

    Raises:
        DataError: There is no such folder, or it holds no images.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        root = Path(folder)
        self.name = str(root)
        root = root / "images" if (root / "images").is_dir() else root
        paths = (path for path in root.rglob("*") if path.suffix.lower() in EXTENSIONS)
        shown = sorted(path for path in paths if not any(n.startswith(".") for n in path.relative_to(root).parts))
        self.samples = [Sample(path.relative_to(root).as_posix(), path) for path in shown]
        if not self.samples:
            raise DataError(f"{folder}: holds no images; give a folder with some", code="E-features-no-images")

    def __len__(self) -> int:
        return len(self.samples)

    def batches(self, size: int) -> Iterator[Image]:
        """Images (B, H, W, C) in order; the images of a batch have one shape.

        Raises:
            DataError: An image does not open.
        """
        for _, group in groupby((read_image(sample.image) for sample in self.samples), key=lambda image: image.shape):
            while batch := list(islice(group, size)):
                yield np.stack(batch)


def extract(
    images: Images,
    extractor: Extractor,
    *,
    cache: FeatureCache | None = None,
    batch_size: int = 32,
    on_progress: Callable[[int], None] | None = None,
) -> Features:
    """Features, and logits where the extractor has them, in the order of the images.

    Args:
        images: The set; gray images are repeated three times.
        extractor: The network.
        cache: Of features by the content of the images; None for none.
        batch_size: How many images go to the extractor at once; it does not change the features.
        on_progress: Called with how many more images are done.

    Raises:
        DataError: The set is empty, an image does not open, or the network answers with NaN or infinity.
        WeightsError: The network's weights cannot be had.
    """
    if not len(images):
        raise DataError(f"{images.name}: holds no images; give a folder with some", code="E-features-no-images")
    with nullcontext() if cache is None else cache.open(extractor.fingerprint) as known:
        rows = _Rows(images, extractor, known, on_progress)
        with closing(read_ahead(images.batches(batch_size))) as batches:
            for batch in batches:
                for image in batch:
                    if rows.shape not in (None, image.shape):
                        rows.compute()
                    rows.take(image)
                    if len(rows.waiting) >= batch_size:
                        rows.compute()
        rows.compute()
    return Features(images.name, extractor.name, rows.features, rows.logits, extractor.resize)


class _Rows:
    """The arrays being filled, and the images whose rows are not known yet."""

    def __init__(
        self, images: Images, extractor: Extractor, known: CachedRows | None, on_progress: Callable[[int], None] | None
    ) -> None:
        self._images = images
        self._extractor = extractor
        self._known = known
        self._on_progress = on_progress
        self._taken = 0
        self.waiting: dict[bytes, tuple[Image, list[int]]] = {}
        self.features = np.empty((len(images), extractor.dim), np.float32)
        self.logits: NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of the images that wait; None where none does."""
        return next((image.shape for image, _ in self.waiting.values()), None)

    def take(self, image: Image) -> None:
        """The next image: its row is filled in if it is known."""
        index = self._taken
        key = pixel_key(image) if self._known is not None else index.to_bytes(8, "big")
        self._taken += 1
        if key in self.waiting:
            self.waiting[key][1].append(index)
            return
        row = self._known.get(key) if self._known is not None else None
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
                    "remove the image, or choose another extractor",
                    code="E-features-not-finite",
                )
            if self._known is not None:
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
