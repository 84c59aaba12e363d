"""The output of `bench-fid`: its plan, its table, its files, and the next useful command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.commands import aligned
from engine.errors import OutputError
from engine.files.atomic import remove_temporaries, to_json, write_many
from engine.files.json_lines import LOCK_NAME, lock_folder
from engine.run.folder import describe_environment
from metrics.bench.comparison import Comparison
from metrics.bench.results import Results, formatted
from metrics.bench.summary import SCORES, SampleScores, first_line, rows_to_bytes, sets_of
from metrics.features.extraction import Extractor
from metrics.scores.score import Score


def settings_of(comparison: Comparison, extractors: Sequence[Extractor], resamples: int) -> dict[str, Any]:
    """With what the scores were computed."""
    environment = describe_environment()
    crop_spec = comparison.crop_spec
    crop = f"{crop_spec.crop} px" if crop_spec.crop else "the shorter side"
    return {
        "command": shlex.join(environment["command"]),
        "seed": comparison.request.seed,
        "resamples": resamples,
        "cut": f"{crop} of an image, around its defect, to {crop_spec.size} x {crop_spec.size} px, "
        f"{'gray' if crop_spec.channels == 1 else 'RGB'}",
        "extractors": {one.name: f"({one.resize}; {one.dim} features; {one.fingerprint})" for one in extractors},
        "python": environment["python"],
        "platform": environment["platform"],
        "packages": environment["packages"],
        "commit": environment["commit"],
    }


def plan_of(comparison: Comparison, extractors: Sequence[Extractor], out: Path) -> dict[str, Any]:
    """What would be compared."""
    return {
        "dry_run": True,
        "out": str(out),
        "first_line": first_line(comparison),
        "warnings": comparison.notes,
        "extractors": [one.name for one in extractors],
        "sets": [{"name": one.name, "role": one.role, "images": one.images} for one in sets_of(comparison)],
    }


def plan_lines(plan: dict[str, Any]) -> list[str]:
    """The same as lines of text."""
    return [
        f"would compare {plan['first_line']}",
        *(f"warning: {warning}" for warning in plan["warnings"]),
        *(f"{one['images']:6d}  {one['name']}: {one['role']}" for one in plan["sets"]),
        f"extractors: {', '.join(plan['extractors'])}",
        f"would write {plan['out']}",
    ]


def next_command(comparison: Comparison, results: Results, out: Path) -> str:
    """To mix the best of the images with real ones; or, without training images, to find near-duplicates first."""
    request = comparison.request
    if any(missing.what == "memorization" and "--train" in missing.why for missing in results.missing):
        return f"the same command with --train DIR, the generator's training images, and --out {out}-2"
    words = ["mix-defects", "--real", str(request.real)]
    for name, folder in request.fakes:
        words += ["--synthetic", f"{name}={folder}"]
    words += ["--scores", str(out / "scores.jsonl")]
    if all(score.value is not None for source in results.sources for score in source.scores if score.name == "copies"):
        words += ["--min-nearest-ratio", "0.5"]
    return shlex.join(words)


_HEAD = ("score", "set", "value", "95 % interval", "floor", "better", "real/fake", "note")


def lines(results: Results) -> list[str]:
    """The first line, the warnings, the table, and how each score was computed."""
    names = list(dict.fromkeys(score.name for source in results.sources for score in source.scores))
    found = [
        (source.name, score)
        for name in names
        for source in results.sources
        for score in source.scores
        if score.name == name
    ]
    notes: dict[str, int] = {}
    rows = [_HEAD, *(_row(source, score, notes) for source, score in found)]
    table = aligned(rows, left=(0, 1, 5, 6, 7))
    warnings = [f"warning: {warning}" for warning in results.warnings]
    return [results.first_line, *warnings, "", *table, "", *(f"{number}  {note}" for note, number in notes.items())]


def _row(source: str, score: Score, notes: dict[str, int]) -> Sequence[str]:
    """One line; its notes are numbered, those of equal words alike."""
    texts = [f"not computed: {score.why}"] if score.value is None else [score.warning, score.estimator]
    marks = [str(notes.setdefault(text, len(notes) + 1)) for text in texts if text]
    between = (
        f"{formatted(score.low)} .. {formatted(score.high)}"
        if score.low is not None and score.high is not None
        else "–"
    )
    return (
        score.name,
        source,
        formatted(score.value),
        between if score.value is not None else "–",
        formatted(score.baseline),
        score.better,
        f"{score.n_real}/{score.n_fake}",
        ("! " if score.warning and score.value is not None else "") + " ".join(marks),
    )


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
        raise OutputError(f"{out}: is a file; choose another --out", code="E-out-not-folder")
    if out.is_dir() and not force and any(not _leftover(entry.name) for entry in out.iterdir()):
        raise OutputError(
            f"{out}: is not empty; add --force to replace the report in it, or choose another --out",
            code="E-out-not-empty",
        )


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
