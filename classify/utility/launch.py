"""The folder of a comparison: one JSON line a cell, so that a killed run goes on where it was."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from classify.utility.analysis.scores import CLASSIFY, SEGMENT
from classify.utility.design.bench import Bench
from classify.utility.design.division import Division
from classify.utility.design.trials import Cell
from classify.utility.report.findings import Found, first_lines, page_of, parts_note
from classify.utility.report.html import render
from classify.utility.runners.segmentation import SegmentRunner, segment_cells
from defects.sample import GOOD
from engine.files.atomic import sha256_file, to_json, write_bytes, write_many
from engine.files.json_lines import LineLog
from engine.run.folder import RunFolder, describe_environment
from engine.weights.lite0 import LITE0_SHA256

RESULTS = "results.jsonl"


TrialT = TypeVar("TrialT", bound=Hashable)
Own = TypeVar("Own", contravariant=True)


class Runner(Protocol[Own]):
    """What computes cells."""

    def run(self, cell: Own) -> dict[str, Any]:
        """The cell's results line, without its name."""
        ...


def compute(
    folder: RunFolder,
    names: Mapping[TrialT, str],
    runner: Callable[[], Runner[TrialT]],
    *,
    on_cells: Callable[[int], object] | None = None,
) -> list[dict[str, Any]]:
    """Computes the cells that the folder does not hold yet.

    Lines of other settings stay in the file and are passed over.

    Args:
        folder: Held by this process.
        names: The identity of every cell, in order.
        runner: Makes what computes them; not called where nothing is left to do.
        on_cells: Told how many more cells are done.

    Returns:
        The lines of all cells, in order.

    Raises:
        DataError: A line of the file is damaged, or an image does not open.
        OutputError: The file cannot be written.
    """
    with ExitStack() as stack:
        log = stack.enter_context(LineLog(folder.path / RESULTS))
        wanted = set(names.values())
        rows = {row["id"]: row for row in log.stream() if row.get("id") in wanted and "test" in row}
        if on_cells is not None:
            on_cells(len(rows))
        missing = [cell for cell, name in names.items() if name not in rows]
        computing = runner() if missing else None
        for cell in missing:
            assert computing is not None
            row = {"id": names[cell], **computing.run(cell)}
            log.append([row])
            rows[names[cell]] = row
            if on_cells is not None:
                on_cells(1)
    return [rows[name] for name in names.values()]


REPORT, SUMMARY = "report.html", "summary.json"


class Counter(Protocol):
    """What shows progress."""

    def update(self, n: int = 1) -> None:
        """Counts `n` more."""
        ...


Progress = Callable[[int, str, str], AbstractContextManager[Counter]]


@dataclass(frozen=True)
class How:
    """What does not change a cell, or only those of one task.

    Attributes:
        tasks: `classify`, `segment` or both.
        resume: Go on with a folder that is there.
        cache: Where features are kept; None keeps nothing.
        weights: A file instead of the package's ImageNet weights, when the network is trained.
        segment_steps: Optimiser steps of the segmenter.
        threads: Of PyTorch; None leaves them.
    """

    tasks: tuple[str, ...] = ("classify",)
    resume: bool = False
    cache: Path | None = None
    weights: Path | None = None
    segment_steps: int = 400
    threads: int | None = None


def compare(bench: Bench, out: Path, how: How, progress: Progress) -> dict[str, Any]:
    """Computes the cells that are missing and writes `summary.json`, the plots and `report.html`.

    Args:
        bench: What is compared.
        out: The folder; `results.jsonl` in it holds the cells.
        how: Tasks, weights and where things are kept.
        progress: Shows (total, label, unit).

    Returns:
        The content of `summary.json`, with the lines of text and the written files.

    Raises:
        DataError: An image does not open.
        OutputError: The folder cannot be written, or is there and `resume` is off.
        WeightsError: The weights cannot be had.
    """
    names: dict[str, dict[Cell, str]] = {}
    digest = sha256_file(how.weights) if how.weights is not None else LITE0_SHA256
    if "classify" in how.tasks:
        names["classify"] = bench.names(weights=digest)
    if "segment" in how.tasks:
        every = bench.names(task="segment", steps=how.segment_steps, weights=LITE0_SHA256)
        names["segment"] = {cell: every[cell] for cell in segment_cells(bench)}
    with RunFolder.create(out, how.resume) as folder:
        folder.write_environment()
        tasks = []
        for task, cells in names.items():
            with progress(len(cells), f"cells, {task}", "cell") as counter:
                rows = compute(folder, cells, _runner(bench, task, folder, how, progress), on_cells=counter.update)
            tasks.append(Found(bench, rows, CLASSIFY if task == "classify" else SEGMENT))
        return _write(bench, tasks, folder)


def plan_of(bench: Bench) -> dict[str, Any]:
    """What would be computed."""
    division = bench.division
    return {
        "dry_run": True,
        "unit": bench.settings.unit,
        "unit_because": bench.why,
        "cells": len(bench.cells),
        "arms": [arm.name for arm in bench.arms],
        "images": {name: len(getattr(division, name)) for name in ("train", "val", "test")},
        **({} if bench.squares is None else {"squares": _counts(bench.squares.items)}),
        "defective_for_training": len(bench.defective),
        "notes": bench.notes,
        "left_out": bench.skipped,
    }


def _counts(squares: Division) -> dict[str, dict[str, int]]:
    """Defective and good squares of each part."""
    parts = {"train": squares.train, "val": squares.val, "test": squares.test}
    good = {name: sum(sample.label == GOOD for sample in samples) for name, samples in parts.items()}
    return {name: {"defective": len(parts[name]) - count, "good": count} for name, count in good.items()}


def _runner(bench: Bench, task: str, folder: RunFolder, how: How, progress: Progress) -> Callable[[], Runner[Cell]]:
    """Makes what computes the cells of a task."""
    if task == "segment":
        return lambda: SegmentRunner(bench, steps=how.segment_steps, threads=how.threads)
    if bench.settings.mode == "finetune":
        from classify.utility.runners.finetune import FinetuneRunner

        return lambda: FinetuneRunner(bench, folder.path, source=how.weights or "imagenet", threads=how.threads)
    return lambda: _frozen(bench, how, progress)


def _frozen(bench: Bench, how: How, progress: Progress) -> Runner[Cell]:
    import torch

    from augment.transforms.pipeline import Pipeline
    from classify.utility.runners.features import FrozenFeatures, FrozenLite0
    from classify.utility.runners.frozen import FrozenRunner
    from metrics.features.cache import FeatureCache

    if how.threads is not None:
        torch.set_num_threads(how.threads)
    features = FrozenFeatures(FrozenLite0(), FeatureCache(how.cache), Pipeline.from_preset(bench.settings.preset))
    division = bench.division
    count = len(division.train) + len(division.val) + len(division.test)
    count += sum(len(made.samples) for made in bench.folders)
    with progress(count, "features", "image") as images:
        return FrozenRunner(bench, features, images.update)


def _write(bench: Bench, tasks: Sequence[Found], folder: RunFolder) -> dict[str, Any]:
    settings = bench.settings.to_dict()
    summary = {
        "first_line": first_lines(tasks),
        "unit": bench.settings.unit,
        "unit_because": bench.why,
        "tasks": {found.kind.name: found.to_dict() for found in tasks},
        "notes": [*bench.notes, parts_note(bench)],
        "left_out": bench.skipped,
        "settings": settings,
    }
    page = render(page_of(bench, tasks, _shown(bench, settings)))
    pictures = [(folder.path / name, data) for found in tasks for name, data in found.pictures().items()]
    write_many([*pictures, (folder.path / SUMMARY, to_json(summary, indent=2) + b"\n")])
    write_bytes(folder.path / REPORT, page)
    lines = [line for found in tasks for line in [*found.lines(), ""]]
    lines += [f"note: {note}" for note in [*bench.notes, parts_note(bench), *bench.skipped]]
    return {**summary, "lines": lines, "files": {"report": str(folder.path / REPORT)}}


def _shown(bench: Bench, settings: dict[str, Any]) -> list[tuple[str, str]]:
    environment = describe_environment()
    return [
        ("command", shlex.join(environment["command"])),
        *(
            (key, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
            for key, value in settings.items()
        ),
        *([("unit", bench.settings.unit)] if "unit" not in settings else []),
        ("unit because", bench.why),
        ("seeds", str(bench.request.seeds)),
        ("ratios", ", ".join(f"{ratio:g}" for ratio in bench.request.ratios)),
        ("platform", environment["platform"]),
        ("commit", str(environment["commit"])),
    ]
