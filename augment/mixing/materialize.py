"""A mixture written as a sample folder, resumable, in flat memory.

Worker threads make a few images each and writer threads wait for the disk; this thread appends their rows to the
manifest in the order of the plan, once their files are there. An interrupted folder is therefore always a prefix of the
finished one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2

from augment.mixing.dataset import UNCHANGED, pixels
from augment.mixing.output import begin, files_of, finish, recorded
from augment.mixing.plan import Item, Plan
from defects.images.decode import encode_image
from defects.manifest import NAME, row_of
from defects.sample import Sample
from engine.files.atomic import sha256_bytes, write_many
from engine.files.json_lines import LineLog, lock_folder

WRITERS = 4
_CHUNK = 16
_ABOUT_PIXELS = ("guide", "guide_scaled")
_REPLACED = (
    "sha256",
    "rle",
    "split",
    "origin",
    "original",
    "original_sha256",
    "parent",
    "version",
    "applied",
    "weight",
)

Row = dict[str, Any]
Files = list[tuple[Path, bytes]]


@dataclass(frozen=True)
class Done:
    """What a run did.

    Attributes:
        images: In the folder.
        written: Now.
        seconds: That took.
        unchanged: Copies whose augmentation lost the defect however it was drawn, and which are left as they were.
    """

    images: int
    written: int
    seconds: float
    unchanged: int = 0


def materialize(
    plan: Plan,
    out: Path,
    *,
    resume: bool = False,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
) -> Done:
    """Writes every image of the plan that is not there yet.

    Args:
        plan: What to write.
        out: The folder.
        resume: Go on with a folder begun with the same plan.
        workers: Threads that make images.
        on_progress: Told how many more images are done.

    Raises:
        OutputError: The folder is in use, not empty, or cannot be written; what was recorded stays valid.
        UsageError: Resumed with other settings or other images.
        DataError: An image does not open.
    """
    start = time.perf_counter()
    tell = on_progress or (lambda _: None)
    with lock_folder(out):
        begin(out, plan, resume=resume)
        with LineLog(out / NAME) as log:
            done, lost = recorded(log, plan, out)
            tell(done - len(lost))
            with _single_threaded():
                _run(plan, out, log, done, lost, workers, tell)
            finish(out, plan, log)
            unchanged = sum(UNCHANGED in row["applied"] for row in log.stream())
    return Done(len(plan), len(plan) - done + len(lost), time.perf_counter() - start, unchanged)


def _chunks(plan: Plan, done: int, lost: set[int]) -> Iterator[list[tuple[int, Item, int]]]:
    wanted = (
        (number, item, version)
        for number, (item, version) in enumerate(plan.entries())
        if number >= done or number in lost
    )
    while chunk := list(islice(wanted, _CHUNK)):
        yield chunk


def _run(
    plan: Plan, out: Path, log: LineLog, done: int, lost: set[int], workers: int, tell: Callable[[int], object]
) -> None:
    pending: deque[Future[tuple[list[tuple[int, Row]], Future[None]]]] = deque()

    def work(chunk: list[tuple[int, Item, int]]) -> tuple[list[tuple[int, Row]], Future[None]]:
        files: Files = []
        rows = []
        for number, item, version in chunk:
            some, row = _made(plan, out, item, version)
            files += some
            rows.append((number, row))
        return rows, writers.submit(write_many, files)

    def collect() -> None:
        rows, written = pending.popleft().result()
        written.result()
        log.append([row for number, row in rows if number >= done])
        tell(len(rows))

    writers = ThreadPoolExecutor(WRITERS, "write")
    makers = ThreadPoolExecutor(workers, "make")
    try:
        for chunk in _chunks(plan, done, lost):
            pending.append(makers.submit(work, chunk))
            if len(pending) >= workers + WRITERS:
                collect()
        while pending:
            collect()
    finally:
        makers.shutdown(wait=True, cancel_futures=True)
        writers.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Each worker computes alone."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _made(plan: Plan, out: Path, item: Item, version: int) -> tuple[Files, Row]:
    made = pixels(plan, item, version)
    image, mask = files_of(item, version)
    data = encode_image(made.image)
    own = item.sample.metadata
    # What was measured on the picture is true of it only as long as its pixels are the same.
    same = version == 0 and plan.cutter.whole(item.sample, made.mask.shape)
    metadata = {key: value for key, value in own.items() if key not in _ABOUT_PIXELS and key not in _REPLACED}
    metadata |= {key: own[key] for key in _ABOUT_PIXELS if same and key in own}
    metadata |= {
        "split": item.split,
        "origin": item.origin,
        "original": item.sample.name,
        "original_sha256": item.sha256,
        "parent": files_of(item, 0)[0] if version else None,
        "version": version,
        "applied": made.applied,
        "weight": round(plan.weight(item), 6),
    }
    sample = Sample(
        item.version(version), out / image, out / mask, (), item.sample.label, item.sample.group,
        item.sample.source, metadata,
    )  # fmt: skip
    row = row_of(sample, out, sha256=sha256_bytes(data))
    return [(out / image, data), (out / mask, encode_image(made.mask))], row
