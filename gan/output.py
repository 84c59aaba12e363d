"""The sample folder a run writes: begun, gone on with, and what is already in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from defects.manifest import NAME
from defects.provenance import Provenance, read_provenance
from defects.provenance import file_name as GENERATOR
from engine.errors import DataError, OutputError, UsageError
from engine.files import from_json, output_errors, remove_temporaries, write_json
from engine.linelog import LineLog
from engine.locks import LOCK_NAME
from gan.batch import files_of
from gan.filter.rejections import NAME as REJECTED
from gan.plan import Plan

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
