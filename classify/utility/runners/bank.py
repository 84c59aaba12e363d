"""The feature rows of all images, in one place, and the items that a training draws from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classify.utility.design.settings import Settings
from classify.utility.design.units import Square
from classify.utility.design.views import Image, views_of
from classify.utility.runners.features import FrozenFeatures
from defects.images.crops import CropSpec, read_crop
from defects.masks.width import Mask
from defects.sample import GOOD, Sample

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Items:
    """What one draw takes: row `first + n` for n below `count`, each as likely."""

    first: Ints
    count: Ints

    def __len__(self) -> int:
        return len(self.first)

    def rows(self, chance: NDArray[np.float64]) -> Ints:
        """Rows for chances (N, 2) in 0..1: of the item, and of the version."""
        which = (chance[:, 0] * len(self)).astype(np.int64)
        return np.asarray(self.first[which] + (chance[:, 1] * self.count[which]).astype(np.int64))


@dataclass(frozen=True)
class Block:
    """The rows of one set of images.

    Attributes:
        first: Row of version 0 of each view (N,).
        versions: Rows of each view, itself included.
        labels: (N,) 1, 0 or `UNCLEAR`.
        owners: (N,) index of the image a view is of.
    """

    first: Ints
    versions: int
    labels: Ints
    owners: Ints

    def items(self, label: int, views: NDArray[np.bool_], *, varied: bool) -> Items:
        """The views (N,) of a label that are marked."""
        first = self.first[(self.labels == label) & views]
        return Items(first, np.full(len(first), self.versions if varied else 1, np.int64))


def joined(parts: Sequence[Items]) -> Items:
    """Items of several sets, all as likely."""
    return Items(np.concatenate([part.first for part in parts]), np.concatenate([part.count for part in parts]))


class Bank:
    """Feature rows under running numbers.

    Args:
        features: Where they come from.
        settings: How photographs are cut and how often images are varied.
    """

    def __init__(self, features: FrozenFeatures, settings: Settings) -> None:
        self._features = features
        self._settings = settings
        self._pieces: list[NDArray[np.float32]] = []
        self._starts: list[int] = [0]

    def photographs(
        self,
        samples: Sequence[Sample],
        versions: int,
        on_progress: Callable[[int], object] | None = None,
        only: Sequence[Square] | None = None,
    ) -> Block:
        """The squares of photographs: all, or those of `only`, in that order."""
        labels: list[int] = []
        owners: list[int] = []
        wanted: dict[int, set[int]] = defaultdict(set)
        for square in only or ():
            wanted[square.owner].add(square.place)

        def views() -> Iterator[tuple[Image, Mask]]:
            s = self._settings
            for index, sample in enumerate(samples):
                views = views_of(sample, size=s.size, channels=s.channels, window=s.window, least=s.least)
                for place, view in enumerate(views):
                    if only is not None and place not in wanted[index]:
                        continue
                    labels.append(view.label)
                    owners.append(index)
                    yield view.image, view.mask
                if on_progress is not None:
                    on_progress(1)

        return self._add(views(), versions, labels, owners)

    def squares(
        self, samples: Sequence[Sample], versions: int, on_progress: Callable[[int], object] | None = None
    ) -> Block:
        """Made images, which are squares already."""
        crop_spec = CropSpec(self._settings.size, None, self._settings.channels)

        def images() -> Iterator[tuple[Image, Mask]]:
            for sample in samples:
                yield read_crop(sample, crop_spec)
                if on_progress is not None:
                    on_progress(1)

        labels = [int(sample.label != GOOD) for sample in samples]
        return self._add(images(), versions, labels, list(range(len(samples))))

    def arrays(self, images: Iterator[tuple[Image, Mask]], count: int, versions: int) -> Block:
        """`count` defective images that are at hand."""
        return self._add(images, versions, [1] * count, list(range(count)))

    def take(self, rows: Ints) -> NDArray[np.float32]:
        """The features (N, D) of rows (N,)."""
        found = np.empty((len(rows), self._features.dim), np.float32)
        piece = np.searchsorted(self._starts, rows, side="right") - 1
        for index in np.unique(piece):
            own = piece == index
            found[own] = self._pieces[index][rows[own] - self._starts[index]]
        return found

    def forget(self, blocks: int) -> None:
        """Lets go of the last blocks that were added."""
        del self._pieces[len(self._pieces) - blocks :], self._starts[len(self._starts) - blocks :]

    def __len__(self) -> int:
        return len(self._pieces)

    def _add(self, images: Iterator[tuple[Image, Mask]], versions: int, labels: list[int], owners: list[int]) -> Block:
        values = self._features.rows(images, versions)
        start = self._starts[-1]
        self._pieces.append(values.reshape(-1, self._features.dim))
        self._starts.append(start + values.shape[0] * values.shape[1])
        first = start + (1 + versions) * np.arange(len(values), dtype=np.int64)
        return Block(first, 1 + versions, np.asarray(labels, np.int64), np.asarray(owners, np.int64))
