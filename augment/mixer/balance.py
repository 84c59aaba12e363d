"""Cells of kind, size and brightness: how many training images each holds, and what fills the emptiest first."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from augment.imbalance.cells import BRIGHTNESSES, SIZES, Terciles, cell_of
from augment.imbalance.measures import Measure, measure_image
from augment.mixer.framing import Cutter
from augment.mixer.request import AXES
from defects.sample import GOOD, Sample
from engine.errors import DataError

__all__ = ["Cells", "Fill"]

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
