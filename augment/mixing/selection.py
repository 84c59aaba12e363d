"""Selection: how many images of each source train, which ones, and how often an epoch contains them."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from augment.balancing.strata import BRIGHTNESSES, SIZES, Measure, Terciles, measure_image, stratum_of
from augment.mixing.request import AXES, SOURCES, STORED
from augment.mixing.sources import Cropper
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError
from engine.seeding import numpy_generator, seed_for

Item = TypeVar("Item")
KeyT = TypeVar("KeyT", bound=Hashable)
Key = tuple[str, ...]


def counts_for(ratio: Sequence[float], available: Mapping[str, int]) -> dict[str, int]:
    """The number of training images of each source.

    Args:
        ratio: Real : synthetic [: pasted]; empty takes all. With a positive number all real images train; with 0, as
            many of the others as their own ratio allows.
        available: Number of `real`, `synthetic` and `pasted` images.

    >>> counts_for((1, 2), {"real": 10, "synthetic": 25, "pasted": 0})
    {'real': 10, 'synthetic': 20, 'pasted': 0}

    Raises:
        UsageError: There are too few; the error names a ratio that is possible.
    """
    if not ratio:
        return {name: available[name] for name in SOURCES}
    shares = dict(zip(SOURCES, [*ratio, 0.0][:3], strict=True))
    used = [name for name in SOURCES if shares[name] > 0]
    unit = available["real"] / shares["real"] if shares["real"] > 0 else min(available[n] / shares[n] for n in used)
    # Rounded half up; the count of an available source must not be short by the error of a division.
    counts = {name: math.floor(unit * shares[name] + 0.5) for name in SOURCES}
    short = [name for name in used if counts[name] > available[name]]
    if short:
        # At most three digits behind the point, never rounded up.
        possible = [available[n] / unit if n in short else shares[n] for n in SOURCES[: len(ratio)]]
        text = ":".join(f"{share:g}" for share in (math.floor(share * 1000 + 1e-6) / 1000 for share in possible))
        raise UsageError(
            f"--ratio {':'.join(f'{share:g}' for share in ratio)}: {available['real']} real training images need "
            f"{', '.join(f'{counts[name]} {name} images' for name in short)}, there are "
            f"{', '.join(f'{available[name]}' for name in short)}; generate {counts[short[0]] - available[short[0]]} "
            f"more {short[0]} ones, or give --ratio {text}",
            code="E-mix-too-few-images",
        )
    return counts


def select(
    items: Sequence[Item],
    count: int,
    *,
    keys: Sequence[KeyT] | None = None,
    start: Mapping[KeyT, int] | None = None,
    seed: int = 0,
    name: str = "",
) -> list[Item]:
    """Selects `count` of the items, each at most once, in their given order.

    Args:
        items: To select from.
        count: How many; all where there are fewer.
        keys: The stratum of every item: the next item is of the stratum with the fewest so far. None: at random.
        start: How many each stratum has already.
        seed: Of the selection within a stratum.
        name: Of the source.
    """
    order = [int(i) for i in numpy_generator(seed, "choose", name).permutation(len(items))]
    if keys is None:
        return [items[i] for i in sorted(order[:count])]
    waiting: dict[KeyT, list[int]] = defaultdict(list)
    for index in reversed(order):
        waiting[keys[index]].append(index)
    heap = [((start or {}).get(key, 0), str(key), key) for key in waiting]
    heapq.heapify(heap)
    selected: list[int] = []
    while heap and len(selected) < count:
        filled, text, key = heapq.heappop(heap)
        selected.append(waiting[key].pop())
        if waiting[key]:
            heapq.heappush(heap, (filled + 1, text, key))
    return [items[i] for i in sorted(selected)]


def count_to_level(keys: Sequence[KeyT], start: Mapping[KeyT, int]) -> int:
    """Number of items that fill every stratum up to the fullest, as far as there are items for it."""
    level = max(start.values(), default=0)
    return sum(min(number, max(0, level - start.get(key, 0))) for key, number in Counter(keys).items())


@dataclass(frozen=True)
class StrataFill:
    """The strata of a mixture.

    Attributes:
        axes: What defines them.
        before: Real training images of each stratum, empty ones too.
        after: All training images of each.
    """

    axes: tuple[str, ...]
    before: dict[Key, int]
    after: dict[Key, int]

    def to_dict(self) -> dict[str, Any]:
        """As JSON, by the stored names of the axes."""
        axes = [STORED.get(axis, axis) for axis in self.axes]
        rows = [
            {**dict(zip(axes, key, strict=True)), "before": number, "after": self.after[key]}
            for key, number in self.before.items()
        ]
        return {"axes": axes, "cells": rows}


class Stratifier:
    """Assigns images to strata, by thirds of the sizes and brightnesses of the real training images.

    Args:
        axes: Any of class, size and brightness.
        train: The real training images.
        cropper: Reads the images to measure; not used where the class alone defines the strata.
        workers: Threads.
        on_progress: Called with the number of images measured since the last call.

    Raises:
        DataError: No real image has a marked defect.
    """

    def __init__(
        self,
        axes: Sequence[str],
        train: Sequence[Sample],
        cropper: Cropper,
        *,
        workers: int = 2,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        self.axes = tuple(axis for axis in AXES if axis in axes)
        self._cropper, self._workers, self._report = cropper, workers, on_progress or (lambda _: None)
        defective = [sample for sample in train if sample.label != GOOD]
        self._terciles: Terciles | None = None
        measures: list[Measure] = []
        if self.axes != ("class",):
            measures = self._measure(defective)
            if not any(m.brightness is not None for m in measures):
                what = "--balance: no real training image has a marked defect; balance by class alone"
                raise DataError(what, code="E-mix-no-defect")
            self._terciles = Terciles.fit(measures)
        values = {"class": sorted({s.label for s in defective}), "size": SIZES, "brightness": BRIGHTNESSES}
        counts = Counter(self._keys(defective, measures))
        self.before = {key: counts[key] for key in itertools.product(*(values[axis] for axis in self.axes))}

    def keys(self, samples: Sequence[Sample]) -> list[Key]:
        """The stratum of every defective sample.

        Raises:
            DataError: An image or mask does not open.
        """
        return self._keys(samples, self._measure(samples) if self._terciles is not None else [])

    def fill(self, added: Sequence[Key]) -> StrataFill:
        """The strata with these images added."""
        counts: Mapping[Key, int] = Counter(added)
        keys = [*self.before, *sorted(set(counts) - set(self.before))]
        before = {key: self.before.get(key, 0) for key in keys}
        return StrataFill(self.axes, before, {key: before[key] + counts.get(key, 0) for key in keys})

    def _keys(self, samples: Sequence[Sample], measures: Sequence[Measure]) -> list[Key]:
        if self._terciles is None:
            return [(sample.label,) for sample in samples]
        keys = []
        for sample, measure in zip(samples, measures, strict=True):
            stratum = stratum_of(measure, self._terciles) or (sample.label, "none", "none")
            named = dict(zip(AXES, stratum, strict=True))
            keys.append(tuple(named[axis] for axis in self.axes))
        return keys

    def _measure(self, samples: Sequence[Sample]) -> list[Measure]:
        def work(sample: Sample) -> Measure:
            image, mask = self._cropper.read(sample)
            measure = measure_image(sample, image, mask, with_brightness="brightness" in self.axes)
            self._report(1)
            return measure

        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(work, samples))


def check_sampling_weights(weights: Mapping[str, float], available: Mapping[str, int]) -> dict[str, float]:
    """The share of each source in an epoch; by the number of images where no weights are given.

    Raises:
        UsageError: A name is unknown or missing, a share is out of range, they do not sum to 1, or a source has a
            share and no image.
    """
    known = [name for name, count in available.items() if count]
    if not weights:
        return {name: available[name] / sum(available.values()) for name in known}
    problem = ""
    for name, share in weights.items():
        if not 0 <= share <= 1:
            problem = problem or f"{name}={share:g} is no share; give a number from 0 to 1"
        elif share > 0 and not available.get(name):
            problem = problem or f"there is no {name} image to train on; there are {', '.join(known)}"
    missing = [name for name in known if name not in weights]
    if not problem and missing:
        problem = f"{missing[0]} is not named; give {missing[0]}=0 to leave it out, or its share"
    if not problem and abs(sum(weights.values()) - 1) > 1e-6:
        problem = f"the shares sum to {sum(weights.values()):g}; make them sum to 1"
    if problem:
        raise UsageError(f"--sampling-weights: {problem}", code="E-mix-bad-weights")
    return dict(weights)


def whole_draws(weights: Mapping[str, float], length: int) -> dict[str, int]:
    """Number of images of each source in an epoch, by largest remainders.

    >>> whole_draws({"real": 0.5, "synthetic": 0.3, "pasted": 0.2}, 9)
    {'real': 4, 'synthetic': 3, 'pasted': 2}
    """
    exact = {name: share * length for name, share in weights.items()}
    counts = {name: math.floor(value + 1e-9) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: (counts[name] - exact[name], list(exact).index(name))):
        if sum(counts.values()) >= length:
            break
        counts[name] += 1
    return counts


@dataclass(frozen=True)
class EpochSampling:
    """The training images of each epoch.

    Attributes:
        members: Numbers of the training images of each source.
        weights: Share of each source, summing to 1.
        length: Images per epoch.
        variants: Of every training image: the image itself and its augmentations.
        seed: Of the order.
    """

    members: Mapping[str, Sequence[int]]
    weights: Mapping[str, float]
    length: int
    variants: int = 1
    seed: int = 0

    @property
    def draws(self) -> dict[str, int]:
        """Number of images of each source in an epoch."""
        return whole_draws(self.weights, self.length)

    def epoch(self, number: int) -> NDArray[np.int64]:
        """The training indices of one epoch, in order.

        Every source is sampled in shuffled passes that continue from epoch to epoch, so that none of its images comes
        twice before each came once; each pass takes the next variant. The draws of all sources are shuffled together.

        Args:
            number: From 0.

        Returns:
            (length,) indices `image * variants + variant`.
        """
        by_source = [self._draw(source, count, number) for source, count in self.draws.items() if count]
        draws = np.concatenate(by_source) if by_source else np.empty(0, np.int64)
        shuffled: NDArray[np.int64] = draws[numpy_generator(self.seed, "epoch", number).permutation(len(draws))]
        return shuffled

    def _draw(self, source: str, count: int, epoch: int) -> NDArray[np.int64]:
        images = np.asarray(self.members[source], np.int64)
        positions = np.arange(epoch * count, (epoch + 1) * count)
        passes = positions // len(images)
        indices = []
        for number in np.unique(passes):
            order = numpy_generator(self.seed, "pass", source, int(number)).permutation(len(images))
            picked = images[order[positions[passes == number] % len(images)]]
            # The first variant differs from image to image, so that a pass has variants of all numbers.
            first = [seed_for(self.seed, "version", int(image)) % self.variants for image in picked]
            indices.append(picked * self.variants + (np.asarray(first, np.int64) + number) % self.variants)
        return np.concatenate(indices)
