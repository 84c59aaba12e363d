"""Cells of kind x size x brightness: which defects a set has many of, few of, or none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augment.balancing.measures import Measure, measure_samples
from defects.images.crops import CropSpec
from defects.sample import GOOD, Sample

SIZES = ("small", "medium", "large")
BRIGHTNESSES = ("dark", "neutral", "bright")


@dataclass(frozen=True)
class Terciles:
    """The two values that part a set's defects in three, for size and for brightness.

    Attributes:
        size: of the defective share of the image, 0..1.
        brightness: of the defect's brightness against its surroundings, -1..1.
    """

    size: tuple[float, float]
    brightness: tuple[float, float]

    @classmethod
    def fit(cls, measures: Sequence[Measure]) -> Terciles:
        """Of the images with a defect.

        Raises:
            ValueError: there are none.
        """
        marked = [m for m in measures if m.brightness is not None and m.sample.label != GOOD]
        if not marked:
            raise ValueError("expected images with a marked defect, got none; terciles have no meaning there")
        size = np.quantile([m.share for m in marked], [1 / 3, 2 / 3])
        light = np.quantile([m.brightness for m in marked if m.brightness is not None], [1 / 3, 2 / 3])
        return cls((float(size[0]), float(size[1])), (float(light[0]), float(light[1])))

    def to_dict(self) -> dict[str, list[float]]:
        """As JSON."""
        return {"size": list(self.size), "brightness": list(self.brightness)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Terciles:
        """Reads what `to_dict` wrote."""
        (a, b), (c, d) = data["size"], data["brightness"]
        return cls((float(a), float(b)), (float(c), float(d)))


@dataclass(frozen=True)
class Cell:
    """One cell, filled or empty.

    Attributes:
        kind: of the defect.
        size: one of `SIZES`.
        brightness: one of `BRIGHTNESSES`.
        names: of the samples in it, sorted.
        groups: how many parts they show.
    """

    kind: str
    size: str
    brightness: str
    names: tuple[str, ...]
    groups: int

    @property
    def count(self) -> int:
        """How many images are in it."""
        return len(self.names)

    @property
    def name(self) -> str:
        """Such as `crack-large-dark`."""
        return f"{self.kind}-{self.size}-{self.brightness}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the names."""
        return {
            "kind": self.kind,
            "size": self.size,
            "brightness": self.brightness,
            "count": self.count,
            "groups": self.groups,
        }


def cell_of(measure: Measure, terciles: Terciles) -> tuple[str, str, str] | None:
    """Kind, size and brightness of an image; None for one without a marked defect."""
    if measure.brightness is None or measure.sample.label == GOOD:
        return None
    size = SIZES[sum(measure.share > edge for edge in terciles.size)]
    return measure.sample.label, size, BRIGHTNESSES[sum(measure.brightness > edge for edge in terciles.brightness)]


def cells_of(measures: Sequence[Measure], terciles: Terciles | None = None) -> list[Cell]:
    """All cells of the kinds that occur, empty ones too, by kind, size and brightness.

    Args:
        measures: of a set.
        terciles: of another set, to count this one in its cells; else this one's own.
    """
    kinds = sorted({m.sample.label for m in measures if m.sample.label != GOOD})
    if terciles is None:
        if not any(m.brightness is not None for m in measures):
            return []
        terciles = Terciles.fit(measures)
    members: dict[tuple[str, str, str], list[Sample]] = defaultdict(list)
    for measure in measures:
        key = cell_of(measure, terciles)
        if key is not None:
            members[key].append(measure.sample)
    found = []
    for kind in kinds:
        for size in SIZES:
            for light in BRIGHTNESSES:
                inside = members[kind, size, light]
                names = tuple(sorted(sample.name for sample in inside))
                found.append(Cell(kind, size, light, names, len({sample.part for sample in inside})))
    return found


def cells(samples: Sequence[Sample], crop_spec: CropSpec | None = None) -> list[Cell]:
    """The cells of a set, in thirds of its own sizes and brightnesses.

    Raises:
        DataError: an image or a mask does not open.
    """
    return cells_of(measure_samples(samples, crop_spec))
