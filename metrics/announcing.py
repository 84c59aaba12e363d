"""What `bench-fid` says around its results: what it would do, with what it was done, what is useful next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.run import describe_environment
from metrics.comparison import Comparison
from metrics.features.extractor import Extractor
from metrics.report.results import Results
from metrics.summing_up import first_line, sets_of

__all__ = ["next_command", "plan_lines", "plan_of", "settings_of"]


def settings_of(comparison: Comparison, extractors: Sequence[Extractor], resamples: int) -> dict[str, Any]:
    """With what the scores were computed."""
    environment = describe_environment()
    framing = comparison.framing
    window = f"{framing.window} px" if framing.window else "the shorter side"
    return {
        "command": shlex.join(environment["command"]),
        "seed": comparison.request.seed,
        "resamples": resamples,
        "cut": f"{window} of a photograph, around its defect, to {framing.size} x {framing.size} px, "
        f"{'grey' if framing.channels == 1 else 'RGB'}",
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
    """To mix the best of the images with real ones; or, without training images, to find copies first."""
    request = comparison.request
    if any(missing.what == "memorisation" and "--train" in missing.why for missing in results.missing):
        return f"the same command with --train DIR, the generator's training images, and --out {out}-2"
    words = ["mix-defects", "--real", str(request.real)]
    for name, folder in request.fakes:
        words += ["--synthetic", f"{name}={folder}"]
    words += ["--scores", str(out / "scores.jsonl")]
    if all(score.value is not None for source in results.sources for score in source.scores if score.name == "copies"):
        words += ["--min-nearest-ratio", "0.5"]
    return shlex.join(words)
