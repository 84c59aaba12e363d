"""Copies of held-out photographs among other images, though cropped, mirrored, turned, brightened or compressed.

Two stages: every keypoint votes for every reference as far as it resembles one of its keypoints (a product of
matrices), then the few with most votes are laid over the suspect and compared block by block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.leakage.alignment import KEYPOINTS, Appearance, aligned, appearance, likeness, mirrored, picture, rooted
from defects.images.decode import read_image
from defects.sample import Sample

LEAST = 0.55
"""Pictures that agree less than this are never called copies."""

LEAST_PIECE = 0.65
"""The same for squares compared with pieces of photographs: of so little, more agrees by chance."""

CERTAIN = 0.97
"""Pictures that agree more than this always are."""

_CANDIDATES = 8
_DIMENSIONS = 32
_ALIKE = 0.6
_SLICE = 50_000


@dataclass(frozen=True)
class Likeness:
    """The reference that a picture resembles most.

    Attributes:
        name: Of the reference; empty where none comes near.
        value: How well the two agree, -1 to 1; see `alignment.likeness`.
    """

    name: str
    value: float


class References:
    """Photographs that others are compared with.

    Args:
        samples: Decoded once.
        piece: Compare with overlapping pieces of twice that side, px, for squares cut out of far larger photographs;
            None for the photographs as a whole.
        workers: Threads.

    Raises:
        DataError: One does not open.
    """

    def __init__(self, samples: Sequence[Sample], *, piece: int | None = None, workers: int = 2) -> None:
        with ThreadPoolExecutor(workers) as pool:
            looks = list(pool.map(lambda sample: [appearance(each) for each in _pictures(sample, piece)], samples))
            self.names = [sample.name for sample, own in zip(samples, looks, strict=True) for _ in own]
            upright = [seen for own in looks for seen in own]
            self._seen: list[Appearance] = [*upright, *pool.map(mirrored, upright)]
        counts = [len(seen.points) for seen in self._seen]
        self._filled = np.flatnonzero(counts)  # without keypoints there is nothing to vote with
        self._starts = np.concatenate([[0], np.cumsum(np.asarray(counts)[self._filled])])
        each = max(1, _SLICE // KEYPOINTS)
        number = len(self._filled)
        self._slices = [(first, min(first + each, number)) for first in range(0, number, each)]
        every = [rooted(seen.descriptors) for seen in self._seen]
        values = np.concatenate(every) if sum(counts) else np.zeros((1, 128), np.float32)
        self._mean: NDArray[np.float32] = values.mean(axis=0)
        some = values[:: max(1, len(values) // 20_000)] - self._mean
        self._axes: NDArray[np.float32] = np.linalg.eigh(some.T @ some)[1][:, -_DIMENSIONS:].astype(np.float32)
        self._index = self._short(values).T.copy() if sum(counts) else np.zeros((_DIMENSIONS, 0), np.float32)

    def compare(
        self,
        samples: Iterable[Sample],
        *,
        read: Callable[[Sample], NDArray[np.uint8]] = lambda sample: read_image(sample.image),
        workers: int = 2,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Likeness]:
        """The likeness of every sample, in order; images are opened one by one.

        Args:
            samples: To compare.
            read: Opens one as (H, W, C).
            workers: Threads.
            on_progress: Told how many more were compared.

        Raises:
            DataError: One does not open.
        """
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            with ThreadPoolExecutor(workers) as pool:
                for found in pool.map(lambda sample: self.nearest(appearance(picture(read(sample)))), samples):
                    yield found
                    if on_progress is not None:
                        on_progress(1)
        finally:
            cv2.setNumThreads(threads)

    def nearest(self, suspect: Appearance) -> Likeness:
        """The reference that a picture resembles most."""
        best = Likeness("", 0.0)
        for number in self._candidates(suspect):
            through = aligned(suspect, self._seen[number])
            if through is None:
                continue
            value = likeness(suspect, self._seen[number], through)
            if value > best.value:
                best = Likeness(self.names[number % len(self.names)], value)
        return best

    def _candidates(self, suspect: Appearance) -> list[int]:
        if not len(suspect.points) or not self._index.shape[1]:
            return []
        own = self._short(rooted(suspect.descriptors))
        votes = np.zeros(len(self._seen), np.float32)
        for first, last in self._slices:
            start = self._starts[first]
            alike = own @ self._index[:, start : self._starts[last]]
            nearest = np.maximum.reduceat(alike, self._starts[first:last] - start, axis=1)
            votes[self._filled[first:last]] = (np.clip(nearest - _ALIKE, 0, 1) ** 2).sum(axis=0)
        return [int(i) for i in np.argsort(-votes, kind="stable")[:_CANDIDATES] if votes[i] > 0]

    def _short(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The descriptors on the axes along which those of the references differ most, of length 1."""
        values = (descriptors - self._mean) @ self._axes
        short: NDArray[np.float32] = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
        return short


def calibrated(values: Sequence[float], least: float = LEAST) -> float:
    """From which likeness on a picture is a copy.

    Photographs of other parts say how alike two parts look to one camera: where it always sees the same scene they
    agree far more than where it does not. What lies well beyond the upper tenth of them is a copy; a tenth of the
    values may be of copies themselves.

    Args:
        values: Likenesses of training photographs to held-out ones of other groups.
        least: Never less than that.
    """
    if len(values) < 10:
        return least
    middle, high = np.quantile(values, [0.5, 0.9])
    return float(min(CERTAIN, max(least, high + 0.4 * (high - middle))))


def _pictures(sample: Sample, piece: int | None) -> list[NDArray[np.uint8]]:
    """A photograph, or its overlapping pieces."""
    image = read_image(sample.image)
    if piece is None or max(image.shape[:2]) <= 2 * piece:
        return [picture(image)]
    starts = [range(0, max(1, side - piece), piece) for side in image.shape[:2]]
    return [picture(image[top : top + 2 * piece, left : left + 2 * piece]) for top in starts[0] for left in starts[1]]
