"""The cells that were computed, by arm, ratio and level: means over seeds, and the ratio that validation prefers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from classify.utility.analysis.statistics import Floats, Resamples, mean_interval


@dataclass(frozen=True)
class Entry:
    """An arm at one ratio and level, over its seeds.

    Attributes:
        arm: Name.
        ratio: Made images per real defective one.
        level: Few-shot level as a word.
        seeds: In rising order.
        resampled: (S, 1 + B) primary score on the test, and on resamples of its parts.
        val: Mean primary score on validation.
        mean: Mean on the test.
        low: End of its 95 % interval.
        high: Other end.
        rows: The results lines.
    """

    arm: str
    ratio: float
    level: str
    seeds: tuple[int, ...]
    resampled: Floats
    val: float
    mean: float
    low: float
    high: float
    rows: tuple[Mapping[str, Any], ...]

    def test(self, name: str) -> tuple[float, float]:
        """Mean and standard deviation over the seeds of a test score."""
        values = [float(row["test"][name]) for row in self.rows]
        return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


class Table:
    """All entries.

    Args:
        rows: Results lines.
        resamples: Draws of the tested parts.
        measure: The primary score (1 + B,) of a cell's scores of photographs.
        primary: Its name.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        resamples: Resamples,
        measure: Callable[[Sequence[float]], Floats],
        primary: str,
    ) -> None:
        groups: dict[tuple[str, str, float], list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            groups[row["arm"], row["shots"], row["ratio"]].append(row)
        self.entries: dict[tuple[str, str, float], Entry] = {}
        for (arm, level, ratio), own in groups.items():
            own.sort(key=lambda row: int(row["seed"]))
            resampled = np.stack([measure(row["scores"]) for row in own])
            val = float(np.mean([row["val"][primary] for row in own]))
            seeds = tuple(int(row["seed"]) for row in own)
            spread = mean_interval(resampled, resamples)
            self.entries[arm, level, ratio] = Entry(arm, ratio, level, seeds, resampled, val, *spread, tuple(own))

    @property
    def levels(self) -> list[str]:
        """In the order of the cells."""
        return list(dict.fromkeys(level for _, level, _ in self.entries))

    def ratios(self, arm: str, level: str) -> list[Entry]:
        """The entries of an arm, by ratio."""
        found = [entry for key, entry in self.entries.items() if key[:2] == (arm, level)]
        return sorted(found, key=lambda entry: entry.ratio)

    def best(self, arm: str, level: str) -> Entry | None:
        """The entry with the ratio that validation prefers; of equal ones the lowest. None where there is none."""
        return max(self.ratios(arm, level), key=lambda entry: entry.val, default=None)
