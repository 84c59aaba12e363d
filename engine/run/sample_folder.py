"""The one writer of sample folders: numbered items become files and manifest rows, resumable and in flat memory.

Maker threads make a chunk of items each and writer threads wait for the disk; the calling thread appends rows to the
manifest in the order of the items, once their files are there. An interrupted folder is therefore always a prefix of
the finished one:

    with open_sample_folder(out, description, resume=resume) as folder:
        job = WriteJob(count=100, names=names_of, make=make_chunk)
        state = folder.recorded(job)
        written = folder.write(job, state, workers=2, on_progress=progress.update)
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import DataError, OutputError, UsageError
from engine.files.atomic import from_json, output_errors, remove_temporaries, to_json, write_json, write_many
from engine.files.json_lines import LOCK_NAME, LineLog, lock_folder

MANIFEST = "metadata.jsonl"
REQUEST = "request.json"
WRITERS = 4
"""Threads that write and sync files. A journal commits the waiting syncs of several files together."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One item, ready to be written.

    Attributes:
        number: Of the item.
        files: Contents by name relative to the folder; the image comes first.
        row: Of the manifest; None where the item is left out.
        extra: What the caller's `before_rows` takes with it.
    """

    number: int
    files: Mapping[str, bytes]
    row: Row | None
    extra: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class WriteJob:
    """`count` numbered items, each a function of its number only.

    Attributes:
        count: How many items the folder holds in the end.
        names: The files of an item, relative to the folder; the first is the `file_name` of its row.
        make: Makes a chunk in one of several threads: from all numbers of the chunk and those that are needed, the
            needed items in order.
        chunk: Items that are generated together; the bounds of chunks do not depend on what is there already.
        optional: Whether some items may be left out, so that the manifest has fewer rows.
        matches: Whether a row belongs to an item, besides its `file_name`.
    """

    count: int
    names: Callable[[int], Sequence[str]]
    make: Callable[[range, Sequence[int]], Sequence[Item]]
    chunk: int = 16
    optional: bool = False
    matches: Callable[[int, Row], bool] = lambda number, row: True  # noqa: ARG005


@dataclass(frozen=True)
class Recorded:
    """What a folder holds already: the first `done` items, and which of those have `lost` a file since."""

    done: int
    lost: frozenset[int] = frozenset()

    @property
    def whole(self) -> int:
        """How many items need not be generated."""
        return self.done - len(self.lost)


class SampleFolder:
    """A sample folder whose lock this process holds; see `open_sample_folder`.

    Attributes:
        path: The folder.
        resumed: Whether it held anything when it was opened.
        manifest: Its rows.
    """

    def __init__(self, path: Path, manifest: LineLog, *, resumed: bool, request: str | None) -> None:
        self.path, self.manifest, self.resumed, self._request = path, manifest, resumed, request

    def recorded(self, job: WriteJob) -> Recorded:
        """Compares the manifest with the job.

        Raises:
            DataError: A row is not one that this job writes.
        """
        done = 0
        lost = set()
        for line, row in enumerate(self.manifest.stream(), start=1):
            names = job.names(done) if done < job.count else ()
            while job.optional and names and row.get("file_name") != names[0]:
                done += 1
                names = job.names(done) if done < job.count else ()
            if not names or row.get("file_name") != names[0] or not job.matches(done, row):
                raise DataError(
                    f"{self.manifest.path}: row {line} is not one that this run writes; choose another --out",
                    code="E-resume-foreign",
                )
            if not all((self.path / name).is_file() for name in names):
                lost.add(done)
            done += 1
        return Recorded(done, frozenset(lost))

    def write(
        self,
        job: WriteJob,
        state: Recorded,
        *,
        workers: int = 2,
        rows_at_once: int | None = None,
        on_progress: Callable[[int], object] | None = None,
        before_rows: Callable[[Sequence[Item]], object] | None = None,
        initializer: Callable[[], object] | None = None,
    ) -> int:
        """Makes the items that are missing, writes their files and then their rows.

        Args:
            job: What to write.
            state: What is there, see `recorded`.
            workers: Threads that make items.
            rows_at_once: Rows appended together; a chunk of the job where None.
            on_progress: Called with how many more items are complete, those that were there first.
            before_rows: Called with the items whose rows come next, whose files are on disk.
            initializer: Called once in each maker thread.

        Returns:
            How many items were written, those that are left out not counted.

        Raises:
            OutputError: A file cannot be written; what was recorded stays valid.
        """
        run = _Writing(self, job, state.done, rows_at_once or job.chunk, before_rows)
        report = on_progress or (lambda _: None)
        report(state.whole)
        written = 0
        pending: deque[Future[tuple[Sequence[Item], Future[None]]]] = deque()

        def work(numbers: range, needed: list[int]) -> tuple[Sequence[Item], Future[None]]:
            items = job.make(numbers, needed)
            files = [(self.path / name, data) for item in items for name, data in item.files.items()]
            return items, writers.submit(write_many, files)

        def collect() -> int:
            items, files = pending.popleft().result()
            files.result()
            run.add(items)
            report(len(items))
            return sum(item.row is not None for item in items)

        writers = ThreadPoolExecutor(WRITERS, "write")
        makers = ThreadPoolExecutor(workers, "make", initializer=initializer)
        with _opencv_single_threaded():
            try:
                for numbers, needed in _chunks(job, state):
                    pending.append(makers.submit(work, numbers, needed))
                    if len(pending) >= 2 * workers + WRITERS:
                        written += collect()
                while pending:
                    written += collect()
            finally:
                makers.shutdown(wait=True, cancel_futures=True)
                writers.shutdown(wait=True, cancel_futures=True)
                run.close()
        return written

    def abandon(self, *names: str) -> None:
        """Removes the manifest, the request and further files of a run that wrote no item."""
        with output_errors(self.path):
            for name in (self.manifest.path.name, *([self._request] if self._request else []), *names):
                (self.path / name).unlink(missing_ok=True)


class _Writing:
    """Rows that wait for their place in the manifest."""

    def __init__(
        self,
        folder: SampleFolder,
        job: WriteJob,
        done: int,
        at_once: int,
        before_rows: Callable[[Sequence[Item]], object] | None,
    ) -> None:
        self.folder, self.job, self.done, self.at_once, self.before_rows = folder, job, done, at_once, before_rows
        self.waiting: list[Item] = []
        self.appending = False

    def add(self, items: Sequence[Item], least: int | None = None) -> None:
        self.waiting.extend(item for item in items if item.number >= self.done)
        while len(self.waiting) >= (self.at_once if least is None else least):
            some = self.waiting[: self.at_once]
            self.appending = True
            if self.before_rows is not None:
                self.before_rows(some)
            self.folder.manifest.append([item.row for item in some if item.row is not None])
            del self.waiting[: self.at_once]
            self.appending = False

    def close(self) -> None:
        """Appends the rest; after an append that failed nothing may follow, or the manifest would have a gap."""
        if not self.appending:
            self.add((), 1)


def _chunks(job: WriteJob, state: Recorded) -> Iterator[tuple[range, list[int]]]:
    """The chunks with something to do; their bounds depend on the job only."""
    for first in range(0, job.count, job.chunk):
        numbers = range(first, min(first + job.chunk, job.count))
        needed = [number for number in numbers if number >= state.done or number in state.lost]
        if needed:
            yield numbers, needed


@contextmanager
def _opencv_single_threaded() -> Iterator[None]:
    """Each maker computes alone; the process's own setting comes back at the end."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


@contextmanager
def open_sample_folder(
    out: Path,
    description: Mapping[str, Any] | None,
    *,
    request: str = REQUEST,
    resume: bool = False,
    manifest: str = MANIFEST,
) -> Iterator[SampleFolder]:
    """Begins or resumes a sample folder and holds it while the block runs.

    Args:
        out: The folder; created if it is missing.
        description: All that decides the bytes, for the request file; None writes none and compares none.
        request: Name of the request file.
        resume: Take a folder that holds something already.
        manifest: Name of the manifest.

    Raises:
        OutputError: The folder is in use, cannot be written, or is not empty and `resume` is not set.
        UsageError: It was begun with another description; the first key that differs is named.
        DataError: It holds something else than an interrupted run.
    """
    with ExitStack() as stack:
        stack.enter_context(lock_folder(out))
        remove_temporaries(out)
        resumed = check_free(out, resume=resume)
        if description is not None and resumed:
            _compare(out, request, from_json(to_json(description)))
        elif description is not None:
            write_json(out / request, description)
        log = stack.enter_context(LineLog(out / manifest))
        yield SampleFolder(out, log, resumed=resumed, request=request if description is not None else None)


def check_free(out: Path, *, resume: bool) -> bool:
    """Whether a folder holds something to resume.

    Raises:
        OutputError: It does, and `resume` is not set.
    """
    there = out.is_dir() and any(entry.name != LOCK_NAME for entry in out.iterdir())
    if there and not resume:
        raise OutputError(
            f"{out}: is not empty; add --resume to complete it, or choose another --out", code="E-out-not-empty"
        )
    return there


def _compare(out: Path, request: str, description: dict[str, Any]) -> None:
    path = out / request
    try:
        before: dict[str, Any] = from_json(path.read_bytes())
        keys = dict.fromkeys([*description, *before.keys()])
    except (OSError, ValueError, AttributeError):
        raise DataError(
            f"{path}: missing or unreadable, so this is no run to resume; choose another --out",
            code="E-resume-no-run",
        ) from None
    for key in keys:
        old, new = before.get(key), description.get(key)
        if old != new:
            raise UsageError(
                f"{out}: was started with {key} {_short(old)}, now it is {_short(new)}; "
                "repeat the first command with --resume, or choose another --out",
                code="E-resume-settings",
            )


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
