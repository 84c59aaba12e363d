"""The main job: from masks and a guide to a sample folder of images, labels, manifest and contact sheet.

Worker threads make whole micro-batches and hand them to writer threads, which wait for the disk; this thread appends
their rows to the manifest in the order of the jobs, once their files are on disk. A folder that was interrupted is
therefore always a prefix of the finished one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from defects.manifest import NAME
from engine.errors import DataError
from engine.files import write_many, write_text
from engine.linelog import LineLog
from engine.locks import lock_folder
from gan.annotate import dataset_card, yolo_yaml
from gan.batch import Made, Outcome, make_batch
from gan.coco import write_coco
from gan.determinism import repeatable
from gan.filter.rejections import cut_back, open_rejections
from gan.output import abandon, begin, recorded
from gan.plan import Plan
from gan.preview import write_preview

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
