"""The examples of a classifier: crops of images, each with its class; decoded images are cached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from classify.config import DEFECT, DataConfig, Task
from defects.images.crops import Box, CropSpec, TileRule, boxes, crop_of, is_defective
from defects.images.decode import as_channels, image_info, read_image, read_mask, read_sample
from defects.masks.width import Mask, resize_mask
from defects.sample import GOOD, Sample
from engine.errors import DataError
from engine.runtime.cache import BoundedCache

if TYPE_CHECKING:
    from augment.mixing.plan import EpochSampling

_CACHE_BYTES = 6 << 30

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Example:
    """One crop and its class.

    Attributes:
        sample: the image.
        box: the tile; None for the whole image.
        label: number of the class.
    """

    sample: Sample
    box: Box | None
    label: int


@dataclass(frozen=True)
class _Decoded:
    """An image in memory; `sample` keeps its id from being reused."""

    sample: Sample
    image: Image
    mask: Mask

    @property
    def size(self) -> int:
        return self.image.nbytes + self.mask.nbytes


class Examples:
    """Examples under a name, all cropped and scaled to one size in one way.

    Args:
        name: for messages, such as `train`.
        examples: in the order in which everything about them is reported.
        classes: names by number; the first is `good` where there is such a class.
        data: how an image becomes crops.
        sampling: how often an epoch of a mixture samples each source; None samples every example once.
        cache_bytes: memory for decoded images; beyond it they are read again.
    """

    def __init__(
        self,
        name: str,
        examples: Sequence[Example],
        classes: Sequence[str],
        data: DataConfig,
        *,
        sampling: EpochSampling | None = None,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        self.name = name
        self.examples = list(examples)
        self.classes = tuple(classes)
        self.data = data
        self.sampling = sampling
        self._cache = BoundedCache[_Decoded](cache_bytes, lambda decoded: decoded.size)

    def __len__(self) -> int:
        return len(self.examples)

    def __repr__(self) -> str:
        return f"Examples({self.name!r}, {len(self)} of {', '.join(self.classes)}, {self.size} px)"

    @property
    def size(self) -> int:
        """Side S of the crops, px."""
        return self.data.size

    @property
    def channels(self) -> int:
        """1 or 3."""
        return self.data.channels

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of every example, (N,)."""
        return np.array([example.label for example in self.examples], np.int64)

    @property
    def counts(self) -> dict[str, int]:
        """Examples of every class."""
        numbers = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(number) for name, number in zip(self.classes, numbers, strict=True)}

    @property
    def samples(self) -> list[Sample]:
        """The images, each once, in order."""
        return list({id(example.sample): example.sample for example in self.examples}.values())

    def read(self, index: int) -> tuple[Image, Mask]:
        """The image (S, S, C) and the mask (S, S) of one example; read-only.

        The mask of an image whose defect is not annotated is empty.

        Raises:
            DataError: the image or its mask does not open.
        """
        example = self.examples[index]
        sample, whole = example.sample, example.box is None
        decoded = self._cache.get(id(sample), lambda: self._decoded(sample, whole=whole))
        if example.box is None:
            return decoded.image, decoded.mask
        x, y, width, height = example.box
        cut = slice(y, y + height), slice(x, x + width)
        return resized(decoded.image[cut], decoded.mask[cut], self.size)

    def batch(self, indices: Iterable[int]) -> Image:
        """Images (B, S, S, C) at some indices."""
        images = [self.read(int(index))[0] for index in indices]
        return np.stack(images) if images else np.zeros((0, self.size, self.size, self.channels), np.uint8)

    def issues(self) -> list[str]:
        """Decodes every image once; a line for each that does not open."""
        firsts = list({id(example.sample): index for index, example in enumerate(self.examples)}.values())
        with ThreadPoolExecutor(4) as pool:
            return [issue for issue in pool.map(self._issue, firsts) if issue]

    def _issue(self, index: int) -> str:
        try:
            self.read(index)
        except DataError as error:
            return str(error)
        return ""

    def part(self, indices: Sequence[int] | NDArray[np.integer], *, name: str | None = None) -> Examples:
        """The examples at some indices, in that order, sharing the cache; each is sampled once an epoch."""
        examples = [self.examples[int(index)] for index in indices]
        return Examples(name or self.name, examples, self.classes, self.data).share(self)

    def share(self, other: Examples) -> Examples:
        """Uses the cache of a set with the same data section.

        Raises:
            ValueError: it has another one.
        """
        if _crop_settings(other.data) != _crop_settings(self.data):
            raise ValueError("expected examples of the same data section, got others")
        self._cache = other._cache
        return self

    def _decoded(self, sample: Sample, *, whole: bool) -> _Decoded:
        """An image at the size of an example, or where it is tiled at its own."""
        image, mask = self._cropped(sample) if whole else read_sample(sample)
        image = as_channels(image, self.channels)
        image.setflags(write=False)
        mask.setflags(write=False)
        return _Decoded(sample, image, mask)

    def _cropped(self, sample: Sample) -> tuple[Image, Mask]:
        if sample.has_pixels:
            image, mask = read_sample(sample)
        else:
            image = read_image(sample.image, depth16=sample.depth16)
            mask = np.zeros(image.shape[:2], np.bool_)
        if self.data.fit == "stretch":
            return resized(as_channels(image, self.channels), mask, self.size)
        return crop_of(image, mask, CropSpec(self.size, self.data.crop, self.channels))


def classes_of(samples: Sequence[Sample], task: Task) -> tuple[str, ...]:
    """Names of the classes: `good` and `defect`, or `good`, where there is any, and every defect class."""
    if task == "binary":
        return GOOD, DEFECT
    labels = {sample.label for sample in samples}
    return (*([GOOD] if GOOD in labels else []), *sorted(labels - {GOOD}))


def tile_rule(data: DataConfig) -> TileRule | None:
    """How images are tiled; None where they are taken whole."""
    tile = data.tile
    return None if tile is None else TileRule(tile.side, tile.overlap, tile.pixels, tile.share)


def examples_of(
    samples: Sequence[Sample],
    data: DataConfig,
    task: Task = "binary",
    classes: Sequence[str] | None = None,
    *,
    name: str = "examples",
) -> Examples:
    """Images as examples: each one, or each of its tiles.

    Args:
        samples: images.
        data: how they become crops.
        task: `binary` or `classes`.
        classes: names by number; those of the samples without it.
        name: of the set.

    Raises:
        DataError: an image is smaller than a tile, its label is none of the classes, or with tiles its mask does not
            open.
    """
    names = tuple(classes) if classes is not None else classes_of(samples, task)
    rule = tile_rule(data)
    if classes is None and rule is not None and GOOD not in names:
        names = (GOOD, *names)
    examples = []
    for sample in samples:
        label = _number(sample, task, names)
        if rule is None:
            examples.append(Example(sample, None, label))
            continue
        info = image_info(sample.image)
        mask = read_mask(sample, info)
        for box in boxes(*info.upright, rule, where=str(sample.image)):
            x, y, width, height = box
            defective = is_defective(mask[y : y + height, x : x + width], rule)
            examples.append(Example(sample, box, label if defective else names.index(GOOD)))
    return Examples(name, examples, names, data)


def _number(sample: Sample, task: Task, classes: Sequence[str]) -> int:
    label = sample.label if task == "classes" or sample.label == GOOD else DEFECT
    if label not in classes:
        raise DataError(
            f"{sample.image}: its label {label!r} is none of the classes {', '.join(classes)}; "
            "rename it, or train with it",
            code="E-classify-unknown-class",
        )
    return classes.index(label)


def resized(image: Image, mask: Mask, size: int) -> tuple[Image, Mask]:
    """Image (H, W, C) and mask (H, W) resized to `size` x `size` px."""
    if image.shape[:2] == (size, size):
        return image, mask
    how = cv2.INTER_AREA if min(image.shape[:2]) > size else cv2.INTER_LINEAR
    small = np.atleast_3d(cv2.resize(np.ascontiguousarray(image), (size, size), interpolation=how))
    return small.astype(np.uint8, copy=False), resize_mask(np.ascontiguousarray(mask), (size, size))


def _crop_settings(data: DataConfig) -> tuple[object, ...]:
    return data.size, data.channels, data.fit, data.crop, data.tile
