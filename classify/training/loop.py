"""The training loop of a run folder: an epoch, its row, its checkpoints; and resumption.

Of every epoch the row of metrics is written first, then `checkpoints/best` where it is the best so far, then
`checkpoints/last`, then the state that a resumed run starts from. A run killed between any two of these writes does the
epoch again and ends in the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from classify.config import ClassifierConfig
from classify.models.checkpoint import save_classifier
from classify.training.fit import Fitting
from classify.training.schedule import best_epoch
from engine.checkpoint import load_checkpoint, prune_checkpoints, save_checkpoint
from engine.commands import Progress
from engine.errors import CheckpointError, UsageError
from engine.run.folder import RunFolder
from engine.training.launch import by_the_first


def train(
    fitting: Fitting,
    run: RunFolder | None,
    config: ClassifierConfig,
    meta: Mapping[str, Any],
    *,
    json: bool = False,
) -> list[dict[str, Any]]:
    """Runs all epochs, from the last state of the run folder if it holds one.

    Args:
        fitting: network and data.
        run: the folder, held; None in the processes that do not write.
        config: of the run.
        meta: of every checkpoint besides its epoch; `identity` is what a resumed run must have in common.
        json: progress as JSON lines.

    Returns:
        The history, a row an epoch.

    Raises:
        TrainingError: a loss is not a number.
        UsageError: the run was started with other images, weights, precision or number of processes.
    """

    def record() -> None:
        if run is not None:
            _record(fitting, run, config, meta)

    _restore(fitting, run, meta.get("identity") or {})
    images = config.train.batch_size * fitting.world
    with Progress(fitting.steps * images, f"train {config.name}", json=json, quiet=run is None, unit="img") as progress:
        progress.update(fitting.learner.steps * images)
        while not fitting.finished:
            began, before = time.monotonic(), fitting.learner.steps
            row = fitting.epoch(progress.update)
            speed = (fitting.learner.steps - before) * images / (time.monotonic() - began)
            if fitting.fabric is None:
                record()
            else:
                by_the_first(fitting.fabric, record)
            progress.write(_line(row, fitting, speed))
    return fitting.history


def _line(row: Mapping[str, Any], fitting: Fitting, speed: float) -> str:
    line = f"epoch {row['epoch']}/{fitting.epochs}: loss {row['loss']:.4f}"
    if "val_accuracy" in row:
        line += f", validation loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.4f}"
        line += f", mean recall {row['val_recall']:.4f}"
        if best_epoch(fitting.history) == row["epoch"]:
            line += " (best)"
    return f"{line}, {speed:.1f} img/s with validation"


def _record(fitting: Fitting, run: RunFolder, config: ClassifierConfig, meta: Mapping[str, Any]) -> None:
    history = fitting.history
    number, best = len(history), best_epoch(history)
    run.metrics.append([history[-1]])
    weights = fitting.learner.result()
    description = dict(meta) | {
        "epoch": number,
        "validation": {k: v for k, v in history[-1].items() if k.startswith("val_")},
    }
    if best == number:
        save_classifier(run.checkpoints / "best", weights, config, fitting.train.classes, description)
    save_classifier(run.checkpoints / "last", weights, config, fitting.train.classes, description)
    state = run.path / "state" / f"epoch-{number:04d}"
    identity = meta.get("identity") or {}
    save_checkpoint(state, fitting.learner.state(), {"epoch": number, "identity": identity, "history": history})
    prune_checkpoints(run.path / "state")


def _restore(fitting: Fitting, run: RunFolder | None, identity: Mapping[str, Any]) -> None:
    """Loads the newest state into every process."""
    fabric = fitting.fabric
    if fabric is None or fabric.world_size == 1:
        if run is not None:
            _resume(fitting, run, identity)
        return
    by_the_first(fabric, lambda: _resume(fitting, run, identity) if run is not None else None)
    fitting.history = list(fabric.broadcast(fitting.history))
    if fitting.history:
        fitting.learner.load(fabric.broadcast({k: v.cpu() for k, v in fitting.learner.state().items()}))


def _resume(fitting: Fitting, run: RunFolder, identity: Mapping[str, Any]) -> None:
    """Loads the newest state and removes the rows written after it.

    Raises:
        UsageError: the run was started with other images, weights, precision or number of processes.
        CheckpointError: the state is damaged, or another network's.
    """
    folder = run.path / "state"
    if not any(folder.glob("epoch-*.json")):
        run.metrics.truncate(0)
        return
    tensors, saved = load_checkpoint(folder)
    before, history = saved.get("identity") or {}, saved.get("history")
    rows = history if isinstance(history, list) and all(isinstance(row, dict) for row in history) else []
    if not isinstance(before, dict) or not rows or any(row.get("epoch") != n for n, row in enumerate(rows, start=1)):
        raise CheckpointError(
            f"{folder}: its newest state is damaged; train anew into another --out", code="E-classify-state"
        )
    other = [name for name, value in identity.items() if before.get(name, value) != value]
    if other:
        raise UsageError(
            f"{run.path}: was started with another {' and '.join(other)}; use the same to resume, or another --out",
            code="E-out-other-run",
        )
    fitting.learner.load(tensors)
    fitting.history = list(rows)
    prune_checkpoints(run.path / "state")
    run.metrics.truncate(len(fitting.history))
