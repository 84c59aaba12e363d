"""`rejected.jsonl`: a row for each candidate that was not good enough, in the order of the jobs.

Rows of a job are written before those of the manifest that come after it, so that what an interrupted run recorded can
be cut back to where its manifest ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.files.json_lines import LineLog
from gan.generation.jobs import Job

NAME = "rejected.jsonl"


@contextmanager
def open_rejections(out: Path, *, wanted: bool) -> Iterator[LineLog | None]:
    """The log of a folder; None where nothing is ever rejected."""
    if not wanted:
        yield None
        return
    with LineLog(out / NAME) as log:
        yield log


def cut_back(log: LineLog, jobs: Sequence[Job], done: int) -> None:
    """Drops what is said of jobs from number `done` on: they are made again."""
    at = count = 0
    for row in log.stream():
        while at < done and jobs[at].name != row.get("name"):
            at += 1
        if at == done:
            break
        count += 1
    log.truncate(count)
