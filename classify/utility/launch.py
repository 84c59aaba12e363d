"""A comparison from start to end: cells computed, compared, and written."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from augment.catalogue.pipeline import Pipeline
from classify.utility.bench import Bench
from classify.utility.cells import Cell
from classify.utility.features import FrozenFeatures, FrozenLite0
from classify.utility.frozen import FrozenRunner
from classify.utility.html import render
from classify.utility.report import Found, find, page_of
from classify.utility.results import Runner, compute
from engine.files import to_json, write_bytes, write_many
from engine.run import RunFolder, describe_environment
from engine.weights.lite0 import LITE0_SHA256
from metrics.features.cache import FeatureCache

__all__ = ["Counter", "compare", "plan_of"]

logger = logging.getLogger(__name__)

REPORT, SUMMARY = "report.html", "summary.json"


class Counter(Protocol):
    """What shows progress."""

    def update(self, n: int = 1) -> None:
        """Counts `n` more."""
        ...


Progress = Callable[[int, str, str], AbstractContextManager[Counter]]


def compare(
    bench: Bench, out: Path, *, resume: bool, cache: Path | None, progress: Progress, threads: int | None = None
) -> dict[str, Any]:
    """Computes the cells that are missing and writes `summary.json`, the plots and `report.html`.

    Args:
        bench: What is compared.
        out: The folder; `results.jsonl` in it holds the cells.
        resume: Go on with a folder that is there.
        cache: Where features are kept; None keeps nothing.
        progress: Shows (total, label, unit).
        threads: Of PyTorch; None leaves them.

    Returns:
        The content of `summary.json`, with the lines of the table and the written files.

    Raises:
        DataError: An image does not open.
        OutputError: The folder cannot be written, or is there and `resume` is off.
        WeightsError: The weights cannot be had.
    """
    with RunFolder.create(out, resume) as folder:
        folder.write_environment()
        names = bench.names(weights=LITE0_SHA256)
        with progress(len(names), "cells", "cell") as cells:
            rows = compute(
                folder,
                names,
                lambda: _runner(bench, cache, progress, threads),
                on_cells=cells.update,
            )
        found = find(bench, rows)
        return _write(bench, found, folder)


def plan_of(bench: Bench) -> dict[str, Any]:
    """What would be computed."""
    division = bench.division
    return {
        "dry_run": True,
        "cells": len(bench.cells),
        "arms": [arm.name for arm in bench.arms],
        "images": {name: len(getattr(division, name)) for name in ("train", "val", "test")},
        "defective_for_training": len(bench.defective),
        "notes": bench.notes,
        "left_out": bench.skipped,
    }


def _runner(bench: Bench, cache: Path | None, progress: Progress, threads: int | None) -> Runner[Cell]:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    features = FrozenFeatures(FrozenLite0(), FeatureCache(cache), Pipeline.from_preset(bench.settings.preset))
    division = bench.division
    count = len(division.train) + len(division.val) + len(division.test)
    count += sum(len(made.samples) for made in [*bench.made, *([bench.pasted] if bench.pasted is not None else [])])
    with progress(count, "features", "image") as images:
        return FrozenRunner(bench, features, images.update)


def _write(bench: Bench, found: Found, folder: RunFolder) -> dict[str, Any]:
    environment = describe_environment()
    settings = bench.settings.to_dict()
    shown = [
        ("command", shlex.join(environment["command"])),
        *(
            (key, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
            for key, value in settings.items()
        ),
        ("seeds", str(bench.request.seeds)),
        ("ratios", ", ".join(f"{ratio:g}" for ratio in bench.request.ratios)),
        ("backbone", f"EfficientNet-Lite0, ImageNet, sha256 {LITE0_SHA256}"),
        ("platform", environment["platform"]),
        ("commit", str(environment["commit"])),
    ]
    summary = {**found.to_dict(), "notes": bench.notes, "left_out": bench.skipped, "settings": settings}
    page = render(page_of(found, [found.task()], shown))
    pictures = [(folder.path / name, data) for name, data in found.pictures().items()]
    write_many([*pictures, (folder.path / SUMMARY, to_json(summary, indent=2) + b"\n")])
    write_bytes(folder.path / REPORT, page)
    lines = _lines(found, bench)
    return {**summary, "lines": lines, "files": {"report": str(folder.path / REPORT)}}


def _lines(found: Found, bench: Bench) -> list[str]:
    """The verdict, the notes and the table as text."""
    rows = [found.columns, *found.rows()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    from classify.utility.sentences import caveats, main_comparisons, sentence

    said = []
    for one in main_comparisons(found.comparisons):
        said += [sentence(one), *(f"  {caveat}" for caveat in caveats(one, bench))]
    notes = [f"note: {note}" for note in [*bench.notes, *bench.skipped]]
    return [found.first_line, "", *table, "", *said, *notes]
