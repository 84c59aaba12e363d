"""The folder that `bench-fid` writes: looked at before anything is computed, filled at the very end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.errors import OutputError
from engine.files import LOCK_NAME, lock_folder, remove_temporaries, to_json, write_many
from metrics.report.results import Results
from metrics.sample_scores import NAME as SCORES
from metrics.sample_scores import SampleScores, rows_to_bytes

__all__ = ["REPORT", "RESULTS", "SCORES", "check_out", "write_out"]

REPORT = "report.html"
RESULTS = "results.json"


def check_out(out: Path, *, force: bool) -> None:
    """Refuses a folder that holds anything, without touching it.

    Args:
        out: The folder; it need not exist.
        force: Whether files of an earlier run may be replaced; what else lies there stays.

    Raises:
        OutputError: It is a file, or not empty.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file; choose another --out")
    if out.is_dir() and not force and any(not _leftover(entry.name) for entry in out.iterdir()):
        raise OutputError(f"{out}: is not empty; add --force to replace the report in it, or choose another --out")


def write_out(
    out: Path, results: Results, rows: list[SampleScores], page: bytes, *, force: bool, more: Mapping[str, bytes]
) -> None:
    """Writes the three files and `more` by name, each whole or not at all, the report last.

    Raises:
        OutputError: The folder cannot be written, or something has appeared in it since it was looked at.
    """
    with lock_folder(out):
        remove_temporaries(out)
        check_out(out, force=force)
        content = to_json(results.to_dict(), indent=2) + b"\n"
        further = [(out / name, data) for name, data in more.items()]
        write_many([(out / SCORES, rows_to_bytes(rows)), (out / RESULTS, content), *further, (out / REPORT, page)])


def _leftover(name: str) -> bool:
    """Whether a killed run may have left it: the lock, or a file under its temporary name."""
    return name == LOCK_NAME or (name.startswith(".") and name.endswith(".tmp"))
