"""Training runs as the table needs them: what was trained on which images, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from defects.provenance import Provenance
from engine.checkpoint import find_checkpoint
from engine.errors import CheckpointError, UsageError
from engine.files.atomic import from_json

TIMING = "timing.jsonl"


@dataclass(frozen=True)
class Training:
    """How long a training took, as far as its folder tells.

    Attributes:
        images: Of all epochs together.
        seconds: Of all epochs; those that were not timed are taken for as long as the others.
        timed: Share of the epochs that were timed.
    """

    images: int
    seconds: float
    timed: float


@dataclass(frozen=True)
class Run:
    """A training run under the name it has in the table.

    Attributes:
        name: In the table.
        folder: The run, or a checkpoint.
        provenance: Of its newest checkpoint.
        training: None where nothing was timed.
    """

    name: str
    folder: Path
    provenance: Provenance
    training: Training | None


def open_runs(named: Sequence[tuple[str, Path]]) -> list[Run]:
    """The runs, all of which must have held out the same images.

    Raises:
        CheckpointError: A folder holds no generator.
        UsageError: Two runs held out other images, or work on other crops.
    """
    runs = [Run(name, folder, _provenance(folder), read_training(folder)) for name, folder in named]
    first = runs[0]
    for run in runs:
        if not run.provenance.test:
            raise UsageError(
                f"--run {run.name}: says nothing of held-out images; train it again with this version",
                code="E-paper-run-unknown",
            )
        if set(run.provenance.test) != set(first.provenance.test):
            raise UsageError(
                f"--run {run.name}: held out other images than {first.name}; "
                "train both with the same data, data.test_fraction and train.seed",
                code="E-paper-runs-differ",
            )
        if (run.provenance.crop, run.provenance.channels) != (first.provenance.crop, first.provenance.channels):
            raise UsageError(
                f"--run {run.name}: was trained on another crop or other channels than {first.name}; "
                "train both with the same data.crop and network.channels",
                code="E-paper-runs-differ",
            )
    return runs


def read_training(folder: Path) -> Training | None:
    """What `timing.jsonl` and `metrics.jsonl` of a run folder tell; None where they tell nothing.

    An epoch that was trained twice, since a run was resumed, counts once.
    """
    rows = {row["epoch"]: row for row in _rows(folder / TIMING) if {"epoch", "images", "seconds"} <= row.keys()}
    epochs = max((row.get("epoch", 0) for row in _rows(folder / "metrics.jsonl")), default=0)
    timed = [row for epoch, row in rows.items() if epoch <= epochs]
    if not timed:
        return None
    share = len(timed) / epochs
    images, seconds = (sum(row[key] for row in timed) / share for key in ("images", "seconds"))
    return Training(round(images), seconds, share)


def _provenance(folder: Path) -> Provenance:
    file = find_checkpoint(folder).with_suffix(".json")
    try:
        description = from_json(file.read_bytes())
        return Provenance.from_checkpoint(description["meta"], description["sha256"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise CheckpointError(
            f"{file}: describes no generator; give a run of train-gan", code="E-checkpoint-format"
        ) from None


def _rows(path: Path) -> list[dict[str, float]]:
    """The whole lines of a log; none where it is missing."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    rows = []
    for line in lines:
        try:
            row = from_json(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
