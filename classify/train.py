"""The training loop of a run folder: an epoch, its row, its checkpoints; and on from where a run stopped.

Of every epoch the row of metrics is written first, then `checkpoints/best` where it is the best so far, then
`checkpoints/last`, then the state that a resumed run starts from. A run killed between any two of these writes does the
epoch again and ends in the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from classify.bundle import save_classifier
from classify.config import ClassifierConfig
from classify.fit import Fitting
from classify.schedule import best_epoch
from engine.checkpoint import load_checkpoint, remove_checkpoint, save_checkpoint
from engine.config import load_config
from engine.errors import CheckpointError, DataError, UsageError
from engine.progress import Progress
from engine.ranks import by_the_first
from engine.run import RunFolder

__all__ = ["own_config", "same_config", "train"]

_KEPT = 2


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
        meta: what every checkpoint says besides its epoch; `identity` is what a resumed run must have in common.
        json: progress as JSON lines.

    Returns:
        The history, a row an epoch.

    Raises:
        TrainingError: a loss is not a number.
        UsageError: the run was begun with other images, weights, precision or number of processes.
    """
    _go_on(fitting, run, meta.get("identity") or {})
    images = config.train.batch_size * fitting.world
    with Progress(fitting.steps * images, f"train {config.name}", json=json, quiet=run is None, unit="img") as progress:
        progress.update(fitting.learner.steps * images)
        while not fitting.finished:
            began, before = time.monotonic(), fitting.learner.steps
            row = fitting.epoch(progress.update)
            speed = (fitting.learner.steps - before) * images / (time.monotonic() - began)
            record = partial(_record, fitting, run, config, meta) if run is not None else _nothing
            if fitting.fabric is None:
                record()
            else:
                by_the_first(fitting.fabric, record)
            progress.write(_line(row, fitting, speed))
    return fitting.history


def _line(row: Mapping[str, Any], fitting: Fitting, speed: float) -> str:
    told = f"epoch {row['epoch']}/{fitting.epochs}: loss {row['loss']:.4f}"
    if "val_accuracy" in row:
        told += f", validation loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.4f}"
        told += f", mean recall {row['val_recall']:.4f}"
        if best_epoch(fitting.history) == row["epoch"]:
            told += " (best)"
    return f"{told}, {speed:.1f} img/s with validation"


def _nothing() -> None:
    """What the processes do that do not write."""


def _record(fitting: Fitting, run: RunFolder, config: ClassifierConfig, meta: Mapping[str, Any]) -> None:
    history = fitting.history
    number, best = len(history), best_epoch(history)
    run.metrics.append([history[-1]])
    weights = fitting.learner.result()
    said = dict(meta) | {"epoch": number, "validation": {k: v for k, v in history[-1].items() if k.startswith("val_")}}
    if best == number:
        save_classifier(run.checkpoints / "best", weights, config, fitting.train.classes, said)
    save_classifier(run.checkpoints / "last", weights, config, fitting.train.classes, said)
    state = run.path / "state" / f"epoch-{number:04d}"
    identity = meta.get("identity") or {}
    save_checkpoint(state, fitting.learner.state(), {"epoch": number, "identity": identity, "history": history})
    _prune(run)


def _prune(run: RunFolder) -> None:
    """Keeps the newest states."""
    for old in sorted((run.path / "state").glob("epoch-*.safetensors"))[:-_KEPT]:
        remove_checkpoint(old.with_suffix(""))


def _go_on(fitting: Fitting, run: RunFolder | None, identity: Mapping[str, Any]) -> None:
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
    """Loads the newest state and forgets the rows written after it.

    Raises:
        UsageError: the run was begun with other images, weights, precision or number of processes.
        CheckpointError: the state is damaged, or another network's.
    """
    folder = run.path / "state"
    if not any(folder.glob("epoch-*.json")):
        run.metrics.truncate(0)
        return
    tensors, said = load_checkpoint(folder)
    before, history = said.get("identity") or {}, said.get("history")
    rows = history if isinstance(history, list) and all(isinstance(row, dict) for row in history) else []
    if not isinstance(before, dict) or not rows or any(row.get("epoch") != n for n, row in enumerate(rows, start=1)):
        raise CheckpointError(f"{folder}: its newest state is damaged; train anew into another --out")
    other = [name for name, value in identity.items() if before.get(name, value) != value]
    if other:
        raise UsageError(
            f"{run.path}: was begun with another {' and '.join(other)}; use the same to resume, or another --out"
        )
    fitting.learner.load(tensors)
    fitting.history = list(rows)
    _prune(run)
    run.metrics.truncate(len(fitting.history))


def own_config(folder: Path) -> ClassifierConfig | None:
    """The configuration in a run folder; None where it holds none.

    Raises:
        UsageError: it cannot be read, or holds what this version does not know.
    """
    path = folder / "config.yaml"
    return load_config(str(path), ClassifierConfig, folder="classify") if path.is_file() else None


def same_config(run: RunFolder, config: ClassifierConfig) -> None:
    """Compares what is asked for with what a run was begun with.

    Raises:
        UsageError: they differ; the first key that does is named.
        DataError: the folder holds something else than a run.
    """
    before = own_config(run.path)
    if before is None and run.resumed:
        raise DataError(f"{run.path}: holds no config.yaml, so this is no run to resume; choose another --out")
    if before is None or before == config:
        return
    old, new = (_flat(model.model_dump(mode="json")) for model in (before, config))
    key = next(key for key in {**new, **old} if old.get(key) != new.get(key))
    raise UsageError(
        f"{run.config}: was made with another configuration ({key} {old.get(key)}, now {new.get(key)}); "
        "leave --config and --set out to resume, or give another --out"
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
