"""The imbalance report: classes, pixels, sizes, cells, groups and verdicts of a set, as a tree and as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augment.balancing.measures import Measure, measure_samples
from augment.balancing.strata import BRIGHTNESSES, SIZES, Cell, Terciles, cells_of
from augment.balancing.verdicts import Verdict, verdicts
from defects.images.crops import CropSpec
from defects.sample import GOOD, Sample
from engine.errors import DataError

_FEW_GROUPS = 3


@dataclass(frozen=True)
class Kind:
    """One class of a set.

    Attributes:
        name: `good` or the defect kind.
        images: how many.
        groups: how many parts they show.
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
    """What a set holds and what it suffers from.

    Attributes:
        measures: every image.
        crop_spec: in which it was measured; None for whole photographs.
        kinds: `good` first, then by name.
        terciles: where size and brightness are parted; None without defects.
        cells: all of them, empty ones too.
        verdicts: every kind of imbalance.
        warnings: what stands in the way of splitting or balancing the set.
    """

    measures: list[Measure]
    crop_spec: CropSpec | None
    kinds: list[Kind]
    terciles: Terciles | None
    cells: list[Cell]
    verdicts: list[Verdict]
    warnings: list[str]

    @property
    def empty(self) -> list[Cell]:
        """The cells with nothing in them."""
        return [cell for cell in self.cells if not cell.count]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        crop_spec = self.crop_spec
        return {
            "images": len(self.measures),
            "groups": len({m.sample.part for m in self.measures}),
            "framing": None if crop_spec is None else {"size": crop_spec.size, "window": crop_spec.crop},
            "kinds": {kind.name: kind.to_dict() for kind in self.kinds},
            "terciles": None if self.terciles is None else self.terciles.to_dict(),
            "cells": [cell.to_dict() for cell in self.cells],
            "empty_cells": [cell.name for cell in self.empty],
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "warnings": self.warnings,
        }

    def lines(self) -> list[str]:
        """Tables for a terminal."""
        head = ("class", "images", "groups", "defect px", "share of image, %", "box side, px", "brightness")
        rows = [head] + [
            (
                kind.name,
                str(kind.images),
                str(kind.groups),
                str(kind.pixels),
                _span([100 * v for v in kind.share], 2),
                _span(kind.box, 0),
                _span(kind.brightness, 2),
            )
            for kind in self.kinds
        ]
        lines = [*_table(rows), ""]
        if self.terciles is not None:
            (a, b), (c, d) = self.terciles.size, self.terciles.brightness
            lines.append(
                f"cells: small up to {a:.3%} of the image, large over {b:.3%}; dark up to {c:.3f}, bright over {d:.3f}"
            )
            lines += _table(self._cell_rows())
            lines.append(f"{len(self.empty)} of {len(self.cells)} cells are empty")
            lines.append("")
        for verdict in self.verdicts:
            mark = {True: "yes", False: "no", None: "?"}[verdict.suffers]
            number = "" if verdict.value is None else f" {verdict.value:.3g} (threshold {verdict.threshold:g})"
            lines.append(f"{mark:>3}  {verdict.task}, {verdict.name}:{number} {verdict.what}")
        return [*lines, *(f"warning: {warning}" for warning in self.warnings)]

    def _cell_rows(self) -> list[tuple[str, ...]]:
        counts = {(cell.kind, cell.size, cell.brightness): cell.count for cell in self.cells}
        columns = [(size, light) for size in SIZES for light in BRIGHTNESSES]
        rows: list[tuple[str, ...]] = [("kind", *(f"{size}/{light}" for size, light in columns))]
        for kind in dict.fromkeys(cell.kind for cell in self.cells):
            rows.append((kind, *(str(counts[kind, size, light]) for size, light in columns)))
        return rows


def imbalance_report(
    samples: Sequence[Sample],
    crop_spec: CropSpec | None = None,
    *,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
) -> Report:
    """Measure a set and say what it suffers from.

    Args:
        samples: of any source.
        crop_spec: measure the squares a generator sees; None for whole photographs.
        workers: threads that read.
        on_progress: told how many more images are done.

    Raises:
        DataError: there are no samples, or one does not open.
    """
    if not samples:
        raise DataError("no images to report on; give a folder that holds some")
    measures = measure_samples(samples, crop_spec, workers=workers, on_progress=on_progress)
    labels = sorted({m.sample.label for m in measures}, key=lambda name: (name != GOOD, name))
    kinds = [_kind(label, [m for m in measures if m.sample.label == label]) for label in labels]
    marked = any(m.brightness is not None and m.sample.label != GOOD for m in measures)
    terciles = Terciles.fit(measures) if marked else None
    cells = cells_of(measures, terciles) if terciles else []
    return Report(measures, crop_spec, kinds, terciles, cells, verdicts(measures), _warnings(kinds, measures))


def _kind(name: str, measures: list[Measure]) -> Kind:
    sources = sorted(m.sample.source for m in measures)
    instances = [i for m in measures for i in m.instances]
    return Kind(
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


def _warnings(kinds: list[Kind], measures: list[Measure]) -> list[str]:
    found = []
    for kind in kinds:
        if kind.images == 1:
            found.append(f"{kind.name} has a single image: it cannot be in training and in test")
        elif kind.groups == 1:
            found.append(f"{kind.name} has a single group: its {kind.images} images cannot be split")
        elif kind.groups < _FEW_GROUPS:
            found.append(f"{kind.name} has only {kind.groups} groups: train, validation and test need one each")
    unmarked = sum(m.sample.label != GOOD and not m.area for m in measures)
    if unmarked:
        found.append(f"{unmarked} defective images have an empty mask: they are in no cell")
    if not any(m.sample.group for m in measures):
        found.append("no image has a group: images of one part may come to stand on both sides of a split")
    return found


def _percentiles(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(v) for v in np.percentile(values, [5, 50, 95])) if len(values) else ()


def _span(values: Sequence[float], digits: int) -> str:
    return " .. ".join(f"{value:.{digits}f}" for value in values) or "-"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
