"""How many made images are taken, and which: the ratio, and the cells that are filled first."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from augment.balancing.measures import Measure, measure_image
from augment.balancing.strata import BRIGHTNESSES, SIZES, Terciles, cell_of
from augment.mixing.request import AXES
from augment.mixing.sources import Cutter
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError
from engine.seeding import numpy_generator

Item = TypeVar("Item")
KeyT = TypeVar("KeyT", bound=Hashable)


def counts_for(ratio: Sequence[float], there: Mapping[str, int]) -> dict[str, int]:
    """How many images of each source train.

    Args:
        ratio: Real : synthetic [: pasted]; empty takes all. Every photograph is taken when its number is above 0;
            where it is 0, as many of the others as their own ratio allows.
        there: How many there are of `real`, `synthetic` and `pasted`.

    >>> counts_for((1, 2), {"real": 10, "synthetic": 25, "pasted": 0})
    {'real': 10, 'synthetic': 20, 'pasted': 0}

    Raises:
        UsageError: There are too few; what there can be is named.
    """
    names = ("real", "synthetic", "pasted")
    if not ratio:
        return {name: there[name] for name in names}
    shares = dict(zip(names, [*ratio, 0.0][:3], strict=True))
    asked = [name for name in names if shares[name] > 0]
    unit = there["real"] / shares["real"] if shares["real"] > 0 else min(there[n] / shares[n] for n in asked)
    counts = {name: _whole(unit * shares[name]) for name in names}
    short = [name for name in asked if counts[name] > there[name]]
    if short:
        most = ":".join(_text(there[n] / unit if n in short else shares[n]) for n in names[: len(ratio)])
        wanted = ", ".join(f"{counts[name]} {name} images" for name in short)
        have = ", ".join(f"{there[name]}" for name in short)
        remedy = f"make {counts[short[0]] - there[short[0]]} more {short[0]} ones, or give --ratio {most}"
        raise UsageError(
            f"--ratio {':'.join(f'{share:g}' for share in ratio)}: {there['real']} real training images need {wanted}, "
            f"there are {have}; {remedy}"
        )
    return counts


def choose(
    items: Sequence[Item],
    count: int,
    *,
    keys: Sequence[KeyT] | None = None,
    start: Mapping[KeyT, int] | None = None,
    seed: int = 0,
    name: str = "",
) -> list[Item]:
    """Takes `count` of the items, each at most once, in their given order.

    Args:
        items: To take from.
        count: How many; all where there are fewer.
        keys: The cell of every item: an item of the cell that has fewest so far is taken next, so that empty cells
            are filled first. None takes any.
        start: How many each cell has already.
        seed: Of the draw within a cell.
        name: Of what is drawn.
    """
    order = [int(i) for i in numpy_generator(seed, "choose", name).permutation(len(items))]
    if keys is None:
        return [items[i] for i in sorted(order[:count])]
    waiting: dict[KeyT, list[int]] = defaultdict(list)
    for index in reversed(order):
        waiting[keys[index]].append(index)
    heap = [((start or {}).get(key, 0), str(key), key) for key in waiting]
    heapq.heapify(heap)
    taken: list[int] = []
    while heap and len(taken) < count:
        filled, text, key = heapq.heappop(heap)
        taken.append(waiting[key].pop())
        if waiting[key]:
            heapq.heappush(heap, (filled + 1, text, key))
    return [items[i] for i in sorted(taken)]


def level_up(keys: Sequence[KeyT], start: Mapping[KeyT, int]) -> int:
    """How many items bring every cell up to the fullest, as far as there are items for it."""
    level = max(start.values(), default=0)
    return sum(min(number, max(0, level - start.get(key, 0))) for key, number in Counter(keys).items())


def _whole(value: float) -> int:
    """Rounded half up; a count of what there is must not fall below by the error of a division."""
    return math.floor(value + 0.5)


def _text(value: float) -> str:
    """At most three digits behind the point, never rounded up."""
    return f"{math.floor(value * 1000 + 1e-6) / 1000:g}"


Key = tuple[str, ...]


@dataclass(frozen=True)
class Fill:
    """The cells of a mixture.

    Attributes:
        axes: What parts them.
        before: Training photographs in each cell, empty cells too.
        after: All training images in each.
    """

    axes: tuple[str, ...]
    before: dict[Key, int]
    after: dict[Key, int]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "axes": list(self.axes),
            "cells": [
                {**dict(zip(self.axes, key, strict=True)), "before": number, "after": self.after[key]}
                for key, number in self.before.items()
            ],
        }


class Cells:
    """Puts images in cells, in thirds of the sizes and brightnesses of the training photographs.

    Args:
        axes: Any of kind, size and brightness.
        train: The training photographs.
        cutter: How images are read before they are measured; not used where kind alone parts the cells.
        workers: Threads.
        on_progress: Told how many more images were measured.

    Raises:
        DataError: There is no photograph with a marked defect to take thirds of.
    """

    def __init__(
        self,
        axes: Sequence[str],
        train: Sequence[Sample],
        cutter: Cutter,
        *,
        workers: int = 2,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        self.axes = tuple(axis for axis in AXES if axis in axes)
        self._cutter, self._workers, self._tell = cutter, workers, on_progress or (lambda _: None)
        defective = [sample for sample in train if sample.label != GOOD]
        self._terciles: Terciles | None = None
        measures: list[Measure] = []
        if self._measured:
            measures = self._measure(defective)
            if not any(m.brightness is not None for m in measures):
                raise DataError("--balance: no training photograph has a marked defect; balance by kind alone")
            self._terciles = Terciles.fit(measures)
        kinds = sorted({sample.label for sample in defective})
        values = {"kind": kinds, "size": SIZES, "brightness": BRIGHTNESSES}
        counts = Counter(self._keys(defective, measures))
        self.before = {key: counts[key] for key in itertools.product(*(values[axis] for axis in self.axes))}

    @property
    def _measured(self) -> bool:
        return self.axes != ("kind",)

    def keys(self, samples: Sequence[Sample]) -> list[Key]:
        """The cell of every defective sample.

        Raises:
            DataError: An image or mask does not open.
        """
        return self._keys(samples, self._measure(samples) if self._measured else [])

    def fill(self, made: Sequence[Key]) -> Fill:
        """The cells with these added."""
        counts: Mapping[Key, int] = Counter(made)
        keys = [*self.before, *sorted(set(counts) - set(self.before))]
        before = {key: self.before.get(key, 0) for key in keys}
        return Fill(self.axes, before, {key: before[key] + counts.get(key, 0) for key in keys})

    def _keys(self, samples: Sequence[Sample], measures: Sequence[Measure]) -> list[Key]:
        if self._terciles is None:
            return [(sample.label,) for sample in samples]
        found = []
        for sample, measure in zip(samples, measures, strict=True):
            cell = cell_of(measure, self._terciles) or (sample.label, "none", "none")
            named = dict(zip(AXES, cell, strict=True))
            found.append(tuple(named[axis] for axis in self.axes))
        return found

    def _measure(self, samples: Sequence[Sample]) -> list[Measure]:
        def look(sample: Sample) -> Measure:
            measure = measure_image(sample, *self._cutter.read(sample))
            self._tell(1)
            return measure

        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(look, samples))
