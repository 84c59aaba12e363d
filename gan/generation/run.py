"""The sample folder a run writes: begun, gone on with, and what is already in it."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch

from defects.manifest import NAME
from defects.provenance import Provenance, read_provenance
from defects.provenance import file_name as GENERATOR
from engine.errors import DataError, OutputError, UsageError
from engine.files.atomic import from_json, output_errors, remove_temporaries, write_json, write_many, write_text
from engine.files.json_lines import LOCK_NAME, LineLog, lock_folder
from engine.runtime.device import repeatable
from gan.generation.annotations import dataset_card, yolo_yaml
from gan.generation.batch import Made, Outcome, files_of, make_batch
from gan.generation.coco import write_coco
from gan.generation.contact_sheet import write_preview
from gan.generation.plan import Plan
from gan.generation.rejections import NAME as REJECTED
from gan.generation.rejections import cut_back, open_rejections

REQUEST = "request.json"


def check_apart(flag: str, source: Path, out: Path) -> None:
    """Refuses a sample folder that holds what it is made from (`flag` names it), or lies among that.

    Raises:
        UsageError: one is inside the other, or they are the same.
    """
    given, written = source.resolve(), out.resolve()
    if written.is_relative_to(given) or given.is_relative_to(written):
        raise UsageError(f"--out: {out} and {flag} {source} lie inside one another; choose another --out")


def check_free(out: Path, *, resume: bool) -> bool:
    """Whether a folder has something to go on with.

    Raises:
        OutputError: it is not empty and `resume` is not set.
    """
    there = out.is_dir() and any(entry.name != LOCK_NAME for entry in out.iterdir())
    if there and not resume:
        raise OutputError(f"{out}: is not empty; add --resume to go on with it, or choose another --out")
    return there


def begin(out: Path, description: dict[str, Any], provenance: Provenance, *, resume: bool) -> None:
    """Starts or goes on with a folder: `request.json`, then `generator.json`; the caller holds its lock.

    Raises:
        OutputError: it is not empty and `resume` is not set.
        UsageError: it was started with other settings; the first that differs is named.
        DataError: it holds something else than an interrupted run, or the description of another generator.
    """
    remove_temporaries(out)
    there = check_free(out, resume=resume)
    path = out / REQUEST
    if not there:
        write_json(path, description)
        write_json(out / GENERATOR, provenance.to_dict())
        return
    try:
        before = from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(f"{path}: missing or unreadable, so this is no run to resume; choose another --out") from None
    for key in description.keys() | (before.keys() if isinstance(before, dict) else set()):
        old, new = (before.get(key) if isinstance(before, dict) else None), description.get(key)
        if old != new:
            raise UsageError(
                f"{out}: was started with {key} {_short(old)}, now it is {_short(new)}; "
                "repeat the first command with --resume, or choose another --out"
            )
    if read_provenance(out) is None:  # killed before it was written
        write_json(out / GENERATOR, provenance.to_dict())
    elif read_provenance(out) != provenance:
        raise DataError(f"{out / GENERATOR}: describes another generator; choose another --out")


def recorded(log: LineLog, plan: Plan, out: Path) -> tuple[int, set[int]]:
    """How many jobs are done, the last in the manifest among them, and which of those have lost a file since.

    Raises:
        DataError: the manifest is not that of this plan.
    """
    done = 0
    lost: set[int] = set()
    for number, row in enumerate(log.stream(), start=1):
        files = _files(plan, done)
        while plan.leaves_out and files and row.get("file_name") != files["image"]:
            done += 1
            files = _files(plan, done)
        if row.get("file_name") != files.get("image"):
            raise DataError(f"{log.path}: row {number} is not one that this run writes; choose another --out")
        if not all((out / file).is_file() for file in files.values()):
            lost.add(done)
        done += 1
    return done, lost


def abandon(out: Path) -> None:
    """Takes back what `begin` and the logs wrote, of a run that made no image."""
    with output_errors(out):
        for name in (NAME, REJECTED, REQUEST, GENERATOR):
            (out / name).unlink(missing_ok=True)


def _files(plan: Plan, number: int) -> dict[str, str]:
    return files_of(plan, plan.jobs[number].name) if number < len(plan.jobs) else {}


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


WRITERS = 4
"""Threads that write and sync files. A journal commits the waiting syncs of several files together."""


@dataclass(frozen=True)
class Done:
    """What a run did.

    Attributes:
        images: in the folder; fewer than asked for where a filter leaves some out.
        written: now.
        seconds: that took.
        remarks: what a person should know of the images made.
    """

    images: int
    written: int
    seconds: float
    remarks: tuple[str, ...] = ()


def generate(
    plan: Plan,
    out: Path,
    *,
    resume: bool = False,
    batch_size: int = 32,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
) -> Done:
    """Makes every image of the plan that is not there yet.

    Args:
        plan: what to make.
        out: the sample folder.
        resume: go on with a folder that was begun with the same plan.
        batch_size: images recorded in the manifest at once.
        workers: threads that make images; the time is best with one for each core.
        on_progress: told how many more images are done.

    Raises:
        OutputError: the folder is in use, not empty, or cannot be written; what was recorded stays valid.
        UsageError: resumed with other settings.
        DataError: a filter let nothing pass; the folder is empty again.
    """
    start = time.perf_counter()
    with lock_folder(out):
        begin(out, plan.description, plan.provenance, resume=resume)
        with LineLog(out / NAME) as log, open_rejections(out, wanted=plan.leaves_out) as rejections:
            done, lost = recorded(log, plan, out)
            if rejections is not None:
                cut_back(rejections, plan.jobs, done)
            tell = on_progress or (lambda _: None)
            tell(done - len(lost))
            with _single_threaded(), repeatable(plan.painter.device):
                written = _run(plan, out, log, rejections, done, lost, batch_size, workers, tell)
            images = sum(1 for _ in log.stream()) if rejections is not None else len(plan.jobs)
            if rejections is not None and not images:
                reason = plan.refusal(rejections.stream())
                abandon(out)
                raise DataError(f"{out}: {reason}")
            _finish(plan, out, log, images)
            remarks = tuple(plan.remarks(log.stream()))
    return Done(images, written, time.perf_counter() - start, remarks)


def _batches(plan: Plan, done: int, lost: set[int]) -> Iterator[tuple[range, list[int]]]:
    """The micro-batches with something to do; their bounds depend on the plan only."""
    total = len(plan.jobs)
    for first in range(0, total, plan.count):
        numbers = range(first, min(first + plan.count, total))
        wanted = [i for i in numbers if i >= done or i in lost]
        if wanted:
            yield numbers, wanted


def _run(
    plan: Plan,
    out: Path,
    log: LineLog,
    rejections: LineLog | None,
    done: int,
    lost: set[int],
    batch_size: int,
    workers: int,
    tell: Callable[[int], object],
) -> int:
    """Makes and records what is missing; how many images that were."""
    waiting: list[Outcome] = []
    pending: deque[Future[tuple[Made, Future[None]]]] = deque()

    appending = False
    images = 0

    def record(least: int) -> None:
        nonlocal appending
        while len(waiting) >= max(1, least):
            appending = True
            if rejections is not None:
                rejections.append([row for outcome in waiting[:batch_size] for row in outcome.rejected])
            log.append([outcome.row for outcome in waiting[:batch_size] if outcome.row is not None])
            del waiting[:batch_size]
            appending = False

    def collect() -> None:
        nonlocal images
        made, written = pending.popleft().result()
        written.result()
        waiting.extend(outcome for outcome in made.outcomes if outcome.number >= done)
        record(batch_size)
        images += sum(outcome.row is not None for outcome in made.outcomes)
        tell(len(made.outcomes))

    def work(numbers: range, wanted: list[int]) -> tuple[Made, Future[None]]:
        made = make_batch(plan, out, numbers, wanted)
        return made, writers.submit(write_many, made.files)

    writers = ThreadPoolExecutor(WRITERS, "write")
    painters = ThreadPoolExecutor(workers, "paint", initializer=torch.set_num_threads, initargs=(1,))
    try:
        for numbers, wanted in _batches(plan, done, lost):
            pending.append(painters.submit(work, numbers, wanted))
            if len(pending) >= 2 * workers + WRITERS:
                collect()
        while pending:
            collect()
    finally:
        painters.shutdown(wait=True, cancel_futures=True)
        writers.shutdown(wait=True, cancel_futures=True)
        if not appending:  # an append that failed leaves a gap: what comes after it must not be recorded
            record(1)
    return images


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Each worker computes alone; the process's own settings come back at the end."""
    threads = torch.get_num_threads(), cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])


def _finish(plan: Plan, out: Path, log: LineLog, images: int) -> None:
    labels = plan.jobs.request.labels
    if "yolo" in labels:
        write_text(out / "data.yaml", yolo_yaml(plan.jobs.classes))
    if "coco" in labels:
        write_coco(out, log.stream(), log.stream(), plan.side, plan.jobs.classes)
    write_text(out / "README.md", dataset_card(images, plan.jobs.classes))
    masks = len({row["group"] for row in log.stream()}) if plan.leaves_out else len(plan.jobs.masks.entries)
    write_preview(out, log.stream(), masks)
