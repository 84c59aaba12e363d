"""The imbalance report: classes, pixels, sizes, strata, groups and verdicts of a data set, as JSON and as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augment.balancing.strata import BRIGHTNESSES, SIZES, Measure, Terciles, measure_samples, stratum_of
from augment.balancing.verdicts import Verdict, verdicts
from defects.images.crops import CropSpec
from defects.sample import GOOD, Sample
from engine.commands import aligned
from engine.errors import DataError

_FEW_GROUPS = 3


@dataclass(frozen=True)
class ClassSummary:
    """One class of a set.

    Attributes:
        name: `good` or the defect class.
        images: how many.
        groups: number of specimens.
        sources: images by source.
        pixels: defect pixels.
        share: 5th, 50th and 95th percentile of the defective share of an image, 0..1; empty without defects.
        area: the same of the area of one connected defect, px.
        box: the same of the root of its box's area, px.
        brightness: the same of its brightness.
    """

    name: str
    images: int
    groups: int
    sources: dict[str, int]
    pixels: int
    share: tuple[float, ...]
    area: tuple[float, ...]
    box: tuple[float, ...]
    brightness: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        lists = {key: [round(v, 5) for v in getattr(self, key)] for key in ("share", "area", "box", "brightness")}
        return {
            "images": self.images,
            "groups": self.groups,
            "sources": self.sources,
            "defect_pixels": self.pixels,
            "share": lists["share"],
            "area_px": lists["area"],
            "box_side_px": lists["box"],
            "brightness": lists["brightness"],
        }


@dataclass(frozen=True)
class Report:
    """The contents and the imbalance of a data set.

    Attributes:
        measures: every image.
        crop_spec: of the measured crops; None for whole images.
        classes: `good` first, then by name.
        terciles: borders of the strata; None without defects.
        strata: all of them, empty ones too.
        verdicts: one for each type of imbalance.
        warnings: obstacles to splitting or balancing the data set.
    """

    measures: list[Measure]
    crop_spec: CropSpec | None
    classes: list[ClassSummary]
    terciles: Terciles | None
    strata: list[Stratum]
    verdicts: list[Verdict]
    warnings: list[str]

    @property
    def empty(self) -> list[Stratum]:
        """The empty strata."""
        return [stratum for stratum in self.strata if not stratum.count]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        crop_spec = self.crop_spec
        return {
            "images": len(self.measures),
            "groups": len({m.sample.part for m in self.measures}),
            "framing": None if crop_spec is None else {"size": crop_spec.size, "window": crop_spec.crop},
            "kinds": {summary.name: summary.to_dict() for summary in self.classes},
            "terciles": None if self.terciles is None else self.terciles.to_dict(),
            "cells": [stratum.to_dict() for stratum in self.strata],
            "empty_cells": [stratum.name for stratum in self.empty],
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "warnings": self.warnings,
        }

    def lines(self) -> list[str]:
        """Tables for a terminal."""
        head = ("class", "images", "groups", "defect px", "share of image, %", "box side, px", "brightness")
        rows = [head] + [
            (
                summary.name, str(summary.images), str(summary.groups), str(summary.pixels),
                _span([100 * v for v in summary.share], 2), _span(summary.box, 0), _span(summary.brightness, 2),
            )
            for summary in self.classes
        ]  # fmt: skip
        lines = [*aligned(rows), ""]
        if self.terciles is not None:
            (a, b), (c, d) = self.terciles.size, self.terciles.brightness
            lines.append(
                f"strata: small up to {a:.3%} of the image, large over {b:.3%}; dark up to {c:.3f}, bright over {d:.3f}"
            )
            lines += aligned(self._stratum_rows())
            lines.append(f"{len(self.empty)} of {len(self.strata)} strata are empty")
            lines.append("")
        for verdict in self.verdicts:
            mark = {True: "yes", False: "no", None: "?"}[verdict.suffers]
            number = "" if verdict.value is None else f" {verdict.value:.3g} (threshold {verdict.threshold:g})"
            lines.append(f"{mark:>3}  {verdict.task}, {verdict.name}:{number} {verdict.what}")
        return [*lines, *(f"warning: {warning}" for warning in self.warnings)]

    def _stratum_rows(self) -> list[tuple[str, ...]]:
        counts = {(stratum.class_name, stratum.size, stratum.brightness): stratum.count for stratum in self.strata}
        columns = [(size, luminance) for size in SIZES for luminance in BRIGHTNESSES]
        rows: list[tuple[str, ...]] = [("class", *(f"{size}/{luminance}" for size, luminance in columns))]
        for class_name in dict.fromkeys(stratum.class_name for stratum in self.strata):
            rows.append((class_name, *(str(counts[class_name, size, luminance]) for size, luminance in columns)))
        return rows


def imbalance_report(
    samples: Sequence[Sample],
    crop_spec: CropSpec | None = None,
    *,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
) -> Report:
    """Measures a data set and reports its imbalance.

    The arguments are those of `measure_samples`.

    Raises:
        DataError: there are no samples, or one does not open.
    """
    if not samples:
        raise DataError("no images to report on; give a folder of images", code="E-report-no-images")
    measures = measure_samples(samples, crop_spec, workers=workers, on_progress=on_progress)
    labels = sorted({m.sample.label for m in measures}, key=lambda name: (name != GOOD, name))
    classes = [_class_summary(label, [m for m in measures if m.sample.label == label]) for label in labels]
    marked = any(m.brightness is not None and m.sample.label != GOOD for m in measures)
    terciles = Terciles.fit(measures) if marked else None
    strata = strata_of(measures, terciles) if terciles else []
    return Report(measures, crop_spec, classes, terciles, strata, verdicts(measures), _warnings(classes, measures))


def _class_summary(name: str, measures: list[Measure]) -> ClassSummary:
    sources = sorted(m.sample.source for m in measures)
    instances = [i for m in measures for i in m.instances]
    return ClassSummary(
        name=name,
        images=len(measures),
        groups=len({m.sample.part for m in measures}),
        sources={source: sources.count(source) for source in dict.fromkeys(sources)},
        pixels=sum(m.area for m in measures),
        share=_percentiles([m.share for m in measures if m.area]),
        area=_percentiles([float(i.area) for i in instances]),
        box=_percentiles([i.box_side for i in instances]),
        brightness=_percentiles([m.brightness for m in measures if m.brightness is not None]),
    )


def _warnings(classes: list[ClassSummary], measures: list[Measure]) -> list[str]:
    warnings = []
    for summary in classes:
        if summary.images == 1:
            warnings.append(f"{summary.name} has a single image: it cannot be in training and in test")
        elif summary.groups == 1:
            warnings.append(f"{summary.name} has a single group: its {summary.images} images cannot be split")
        elif summary.groups < _FEW_GROUPS:
            warnings.append(
                f"{summary.name} has only {summary.groups} groups: train, validation and test need one each"
            )
    unmarked = sum(m.sample.label != GOOD and not m.area for m in measures)
    if unmarked:
        warnings.append(f"{unmarked} defective images have an empty mask: they are in no stratum")
    if not any(m.sample.group for m in measures):
        warnings.append("no image has a group: images of one specimen may be on both sides of a split")
    return warnings


def _percentiles(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(v) for v in np.percentile(values, [5, 50, 95])) if len(values) else ()


def _span(values: Sequence[float], digits: int) -> str:
    return " .. ".join(f"{value:.{digits}f}" for value in values) or "-"


@dataclass(frozen=True)
class Stratum:
    """One stratum, filled or empty.

    Attributes:
        class_name: of the defect.
        size: one of `SIZES`.
        brightness: one of `BRIGHTNESSES`.
        names: of the samples in it, sorted.
        groups: number of specimens.
    """

    class_name: str
    size: str
    brightness: str
    names: tuple[str, ...]
    groups: int

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.names)

    @property
    def name(self) -> str:
        """Such as `crack-large-dark`."""
        return f"{self.class_name}-{self.size}-{self.brightness}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the names."""
        return {
            "kind": self.class_name,
            "size": self.size,
            "brightness": self.brightness,
            "count": self.count,
            "groups": self.groups,
        }


def strata_of(measures: Sequence[Measure], terciles: Terciles | None = None) -> list[Stratum]:
    """All strata of the classes that occur, empty ones too, by class, size and brightness.

    Args:
        measures: of a set.
        terciles: of another data set, to count in its strata; by default this one's own.
    """
    classes = sorted({m.sample.label for m in measures if m.sample.label != GOOD})
    if terciles is None:
        if not any(m.brightness is not None for m in measures):
            return []
        terciles = Terciles.fit(measures)
    members: dict[tuple[str, str, str], list[Sample]] = defaultdict(list)
    for measure in measures:
        key = stratum_of(measure, terciles)
        if key is not None:
            members[key].append(measure.sample)
    strata = []
    for class_name in classes:
        for size in SIZES:
            for luminance in BRIGHTNESSES:
                inside = members[class_name, size, luminance]
                names = tuple(sorted(sample.name for sample in inside))
                strata.append(Stratum(class_name, size, luminance, names, len({sample.part for sample in inside})))
    return strata
