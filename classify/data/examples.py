"""What a classifier learns from: squares out of photographs, each with its class, decoded once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from classify.config import DataConfig
from defects.images.crops import Box, CropSpec, TileRule, as_channels, boxes, crop_of, is_defective
from defects.images.decode import read_image, read_mask, read_sample
from defects.images.header import image_info
from defects.masks.width import Mask, resize_mask
from defects.sample import GOOD, Sample
from engine.errors import DataError

if TYPE_CHECKING:
    from augment.mixing.sampling_weights import Exposure

DEFECT = "defect"
_KEPT_BYTES = 6 << 30

Image = NDArray[np.uint8]
Task = Literal["binary", "kinds"]


@dataclass(frozen=True)
class Example:
    """One square and its class.

    Attributes:
        sample: the photograph.
        box: the tile; None for the whole photograph.
        label: number of the class.
    """

    sample: Sample
    box: Box | None
    label: int


class _Kept:
    """Pictures already decoded, shared by a set and its parts, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._pictures: dict[int, tuple[Sample, Image, Mask]] = {}

    def get(self, sample: Sample, make: Callable[[Sample], tuple[Image, Mask]]) -> tuple[Image, Mask]:
        found = self._pictures.get(id(sample))  # which no other sample takes while this one is held
        if found is not None:
            return found[1:]
        image, mask = make(sample)
        image.setflags(write=False)
        mask.setflags(write=False)
        size = image.nbytes + mask.nbytes
        if self._bytes + size <= self._limit:
            self._pictures[id(sample)] = sample, image, mask
            self._bytes += size
        return image, mask


class Examples:
    """Examples under a name, all brought to one square size in one way.

    Args:
        name: shown in messages, such as `train`.
        examples: in the order in which everything about them is reported.
        classes: names by number; the first is `good` where good ones are told apart.
        data: how a photograph becomes squares.
        exposure: how often a mixture's epoch sees each source; None shows every example once.
        kept_bytes: memory for decoded pictures; beyond it they are read again.
    """

    def __init__(
        self,
        name: str,
        examples: Sequence[Example],
        classes: Sequence[str],
        data: DataConfig,
        *,
        exposure: Exposure | None = None,
        kept_bytes: int = _KEPT_BYTES,
    ) -> None:
        self.name = name
        self.examples = list(examples)
        self.classes = tuple(classes)
        self.data = data
        self.exposure = exposure
        self._kept = _Kept(kept_bytes)

    def __len__(self) -> int:
        return len(self.examples)

    def __repr__(self) -> str:
        return f"Examples({self.name!r}, {len(self)} of {', '.join(self.classes)}, {self.size} px)"

    @property
    def size(self) -> int:
        """Side S of the squares, px."""
        return self.data.size

    @property
    def channels(self) -> int:
        """1 or 3."""
        return self.data.channels

    @property
    def crop_spec(self) -> tuple[int, int]:
        """(size, channels)."""
        return self.data.size, self.data.channels

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
        """The photographs, each once, in order."""
        return list({id(example.sample): example.sample for example in self.examples}.values())

    def read(self, index: int) -> tuple[Image, Mask]:
        """The image (S, S, C) and the mask (S, S) of one example; not to be written to.

        The mask of a photograph whose defect is not annotated is empty.

        Raises:
            DataError: the image or its mask does not open.
        """
        example = self.examples[index]
        if example.box is None:
            return self._kept.get(example.sample, self._square)
        image, mask = self._kept.get(example.sample, self._photograph)
        x, y, width, height = example.box
        return resized(image[y : y + height, x : x + width], mask[y : y + height, x : x + width], self.size)

    def batch(self, indices: Iterable[int]) -> Image:
        """Images (B, S, S, C) at some indices."""
        images = [self.read(int(index))[0] for index in indices]
        return np.stack(images) if images else np.zeros((0, self.size, self.size, self.channels), np.uint8)

    def issues(self) -> list[str]:
        """Decodes every photograph once; a line for each that does not open."""
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
        """The examples at some indices, in that order, sharing what is decoded; each is seen once an epoch."""
        chosen = [self.examples[int(index)] for index in indices]
        return Examples(name or self.name, chosen, self.classes, self.data).share(self)

    def share(self, other: Examples) -> Examples:
        """Keeps what is decoded in the memory of a set that is cut alike.

        Raises:
            ValueError: it is cut otherwise.
        """
        if _cut(other.data) != _cut(self.data):
            raise ValueError("expected examples cut alike, got others; give both the same data section")
        self._kept = other._kept
        return self

    def _photograph(self, sample: Sample) -> tuple[Image, Mask]:
        image, mask = read_sample(sample)
        return as_channels(image, self.channels), mask

    def _square(self, sample: Sample) -> tuple[Image, Mask]:
        if sample.has_pixels:
            image, mask = read_sample(sample)
        else:
            image = read_image(sample.image, depth16=sample.depth16)
            mask = np.zeros(image.shape[:2], np.bool_)
        if self.data.fit == "stretch":
            return resized(as_channels(image, self.channels), mask, self.size)
        return crop_of(image, mask, CropSpec(self.size, self.data.window, self.channels))


def classes_of(samples: Sequence[Sample], task: Task) -> tuple[str, ...]:
    """Names of the classes: `good` and `defect`, or `good`, where there is any, and every kind."""
    if task == "binary":
        return GOOD, DEFECT
    labels = {sample.label for sample in samples}
    return (*([GOOD] if GOOD in labels else []), *sorted(labels - {GOOD}))


def tile_rule(data: DataConfig) -> TileRule | None:
    """How photographs are tiled; None where they are taken whole."""
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
    """Photographs as examples: each one, or each of its tiles.

    Args:
        samples: photographs.
        data: how they become squares.
        task: `binary` or `kinds`.
        classes: names by number; those of the samples without it.
        name: of the set.

    Raises:
        DataError: a photograph is smaller than a tile, its kind is none of the classes, or where tiles are cut its
            mask does not open.
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
    wanted = sample.label if task == "kinds" or sample.label == GOOD else DEFECT
    if wanted not in classes:
        raise DataError(
            f"{sample.image}: its label {wanted!r} is none of the classes {', '.join(classes)}; "
            "rename it, or train with it"
        )
    return classes.index(wanted)


def resized(image: Image, mask: Mask, size: int) -> tuple[Image, Mask]:
    """Image (H, W, C) and mask (H, W) pressed into a square of a side."""
    if image.shape[:2] == (size, size):
        return image, mask
    how = cv2.INTER_AREA if min(image.shape[:2]) > size else cv2.INTER_LINEAR
    small = np.atleast_3d(cv2.resize(np.ascontiguousarray(image), (size, size), interpolation=how))
    return small.astype(np.uint8, copy=False), resize_mask(np.ascontiguousarray(mask), (size, size))


def _cut(data: DataConfig) -> tuple[object, ...]:
    return data.size, data.channels, data.fit, data.window, data.tile
