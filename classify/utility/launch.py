"""Runs a comparison in its folder: one JSON line a trial, so that a killed run resumes where it was."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from classify.utility.analysis.verdict import CLASSIFY, SEGMENT
from classify.utility.design.bench import Bench
from classify.utility.design.trials import Trial, stored_unit
from classify.utility.report.results import TaskResult, first_lines, groups_note, render_page
from defects.sample import GOOD
from engine.files.atomic import sha256_file, to_json, write_bytes, write_many
from engine.files.json_lines import LineLog
from engine.run.folder import RunFolder, describe_environment
from engine.weights.imagenet import LITE0_SHA256

RESULTS, REPORT, SUMMARY = "results.jsonl", "report.html", "summary.json"

TrialT = TypeVar("TrialT", bound=Hashable)


Run = Callable[[TrialT], dict[str, Any]]
"""Gives a trial's results line, without its name."""
ShowProgress = Callable[[int, str, str], AbstractContextManager[Any]]
"""Of a total, a label and a unit."""


def compute(
    folder: RunFolder,
    names: Mapping[TrialT, str],
    build: Callable[[], Run[TrialT]],
    *,
    on_trials: Callable[[int], object] | None = None,
) -> list[dict[str, Any]]:
    """Computes the trials that the folder does not hold yet.

    Lines of other settings stay in the file and are ignored.

    Args:
        folder: Locked by this process.
        names: The identity of every trial, in order.
        build: Loads what they share and returns what runs a trial; not called where nothing is left to do.
        on_trials: Called with the number of trials done since the last call.

    Returns:
        The lines of all trials, in order.

    Raises:
        DataError: A line of the file is damaged, or an image does not open.
        OutputError: The file cannot be written.
    """
    with ExitStack() as stack:
        log = stack.enter_context(LineLog(folder.path / RESULTS))
        requested = set(names.values())
        rows = {row["id"]: row for row in log.stream() if row.get("id") in requested and "test" in row}
        if on_trials is not None:
            on_trials(len(rows))
        missing = [trial for trial, name in names.items() if name not in rows]
        run = build() if missing else None
        for trial in missing:
            assert run is not None
            row = {"id": names[trial], **run(trial)}
            log.append([row])
            rows[names[trial]] = row
            if on_trials is not None:
                on_trials(1)
    return [rows[name] for name in names.values()]


@dataclass(frozen=True)
class RunOptions:
    """What does not change a trial, or only those of one task.

    Attributes:
        tasks: `classify`, `segment` or both.
        resume: Continue in an existing folder.
        cache: Folder of cached features; None caches nothing.
        weights: A file instead of the package's ImageNet weights, when the network is trained.
        segment_steps: Optimizer steps of the segmenter.
        threads: Of PyTorch; None leaves them.
    """

    tasks: tuple[str, ...] = ("classify",)
    resume: bool = False
    cache: Path | None = None
    weights: Path | None = None
    segment_steps: int = 400
    threads: int | None = None


def compare(bench: Bench, out: Path, options: RunOptions, progress: ShowProgress) -> dict[str, Any]:
    """Computes the missing trials and writes `summary.json`, the plots and `report.html`.

    Args:
        bench: What is compared.
        out: The folder; `results.jsonl` in it holds the trials.
        options: Tasks, weights and cache.
        progress: Shows (total, label, unit).

    Returns:
        The content of `summary.json`, with the lines of text and the written files.

    Raises:
        DataError: An image does not open.
        OutputError: The folder cannot be written, or exists and `resume` is off.
        WeightsError: The weights cannot be loaded.
    """
    names: dict[str, dict[Trial, str]] = {}
    digest = sha256_file(options.weights) if options.weights is not None else LITE0_SHA256
    if "classify" in options.tasks:
        names["classify"] = bench.names(weights=digest)
    if "segment" in options.tasks:
        from classify.utility.runners.segmentation import segment_trials

        every = bench.names(task="segment", steps=options.segment_steps, weights=LITE0_SHA256)
        names["segment"] = {trial: every[trial] for trial in segment_trials(bench)}
    with RunFolder.create(out, options.resume) as folder:
        folder.write_environment()
        results = []
        for task, trials in names.items():
            with progress(len(trials), f"trials, {task}", "trial") as counter:
                build = _runner(bench, task, folder, options, progress)
                rows = compute(folder, trials, build, on_trials=counter.update)
            results.append(TaskResult(bench, rows, CLASSIFY if task == "classify" else SEGMENT))
        return _write(bench, results, folder)


def plan_of(bench: Bench) -> dict[str, Any]:
    """What would be computed."""
    splits = ("train", "val", "test")
    plan: dict[str, Any] = {
        "dry_run": True,
        "unit": stored_unit(bench.settings.eval_on),
        "unit_because": bench.why,
        "trials": len(bench.trials),
        "arms": [arm.name for arm in bench.arms],
        "images": {name: len(getattr(bench.division, name)) for name in splits},
    }
    if bench.crops is not None:
        crops = {name: getattr(bench.crops.items, name) for name in splits}
        good = {name: sum(sample.label == GOOD for sample in samples) for name, samples in crops.items()}
        plan["crops"] = {name: {"defective": len(crops[name]) - good[name], "good": good[name]} for name in splits}
    return plan | {
        "defective_for_training": len(bench.defective), "notes": bench.notes, "left_out": bench.skipped
    }  # fmt: skip


def _runner(
    bench: Bench, task: str, folder: RunFolder, options: RunOptions, progress: ShowProgress
) -> Callable[[], Run[Trial]]:
    """Builds what computes the trials of a task."""
    if task == "segment":
        from classify.utility.runners.segmentation import SegmentRunner

        return lambda: SegmentRunner(bench, steps=options.segment_steps, threads=options.threads).run
    if bench.settings.mode == "finetune":
        from classify.utility.runners.finetune import FinetuneRunner

        return lambda: (
            FinetuneRunner(bench, folder.path, source=options.weights or "imagenet", threads=options.threads).run
        )
    return lambda: _frozen(bench, options, progress)


def _frozen(bench: Bench, options: RunOptions, progress: ShowProgress) -> Run[Trial]:
    import torch

    from augment.transforms.pipeline import Pipeline
    from classify.utility.runners.features import FrozenFeatures, FrozenLite0
    from classify.utility.runners.frozen import FrozenRunner
    from metrics.features.cache import FeatureCache

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    pipeline = Pipeline.from_preset(bench.settings.preset, of_features=True)
    features = FrozenFeatures(FrozenLite0(), FeatureCache(options.cache), pipeline)
    division = bench.division
    count = len(division.train) + len(division.val) + len(division.test)
    count += sum(len(synthetic.samples) for synthetic in bench.folders)
    with progress(count, "features", "image") as images:
        return FrozenRunner(bench, features, images.update).run


def _write(bench: Bench, results: Sequence[TaskResult], folder: RunFolder) -> dict[str, Any]:
    summary = {
        "first_line": first_lines(results),
        "unit": stored_unit(bench.settings.eval_on),
        "unit_because": bench.why,
        "tasks": {result.task.name: result.to_dict() for result in results},
        "notes": [*bench.notes, groups_note(bench)],
        "left_out": bench.skipped,
        "settings": bench.settings.to_dict(),
    }
    plots = [(folder.path / name, data) for result in results for name, data in result.plots().items()]
    write_many([*plots, (folder.path / SUMMARY, to_json(summary, indent=2) + b"\n")])
    write_bytes(folder.path / REPORT, render_page(bench, results, _settings_rows(bench)))
    lines = [line for result in results for line in [*result.lines(), ""]]
    lines += [f"note: {note}" for note in [*bench.notes, groups_note(bench), *bench.skipped]]
    return {**summary, "lines": lines, "files": {"report": str(folder.path / REPORT)}}


def _settings_rows(bench: Bench) -> list[tuple[str, str]]:
    environment = describe_environment()
    settings = {
        "command": shlex.join(environment["command"]),
        **{key: ", ".join(map(str, v)) if isinstance(v, tuple) else v for key, v in vars(bench.settings).items()},
        "evaluation unit because": bench.why,
        "seeds": bench.request.seeds,
        "ratios": ", ".join(f"{ratio:g}" for ratio in bench.request.ratios),
        "platform": environment["platform"],
        "commit": environment["commit"],
    }
    return [(key, str(value)) for key, value in settings.items()]
