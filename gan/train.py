"""The training loop: train an epoch, record it; and go on where a run stopped.

Progress is counted in images; every epoch writes one line of metrics, every few epochs a grid of samples of fixed masks
and noise and a checkpoint (see `gan.record`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from engine.checkpoint import find_checkpoint, load_checkpoint
from engine.errors import UsageError
from engine.progress import Progress
from engine.ranks import by_the_first
from engine.run import RunFolder
from gan.record import Recorder, prune
from gan.trainer import Trainer


def train(
    trainer: Trainer, run: RunFolder | None, meta: dict[str, Any], *, json: bool = False, tensorboard: bool = False
) -> Path | None:
    """Runs the schedule, from the last checkpoint of the run folder if it holds one.

    Args:
        trainer: networks and data.
        run: the folder, held; None in the processes that do not write.
        meta: what every checkpoint says besides its epoch.
        json: progress as JSON lines.
        tensorboard: write the scalars as TensorBoard events too.

    Returns:
        The last checkpoint.

    Raises:
        TrainingError: a loss is not finite.
        UsageError: the run was begun with other images, style weights, precision or number of processes.
    """
    config, fabric = trainer.config, trainer.fabric
    start = _start(trainer, run, meta.get("identity"))
    per_epoch = trainer.steps_per_epoch * config.train.batch_size * fabric.world_size
    with (
        _board(run if tensorboard else None) as board,
        Progress(
            config.train.epochs * per_epoch, f"train {config.name}", json=json, quiet=run is None, unit="img"
        ) as progress,
    ):
        record = Recorder(trainer, run, meta, progress, board) if run is not None else None
        progress.update(start * per_epoch)
        for done in range(start + 1, config.train.epochs + 1):
            began = time.monotonic()
            means = trainer.epoch(done - 1, progress)
            seconds = time.monotonic() - began
            by_the_first(fabric, partial(record, done, means, per_epoch, seconds) if record is not None else _nothing)
    return find_checkpoint(run.checkpoints) if run is not None else None


def _nothing() -> None:
    """What the processes do that do not write."""


@contextmanager
def _board(run: RunFolder | None) -> Iterator[Any]:
    """A writer of TensorBoard events; None where none are wanted."""
    if run is None:
        yield None
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run.path / "tensorboard")) as board:
        yield board


def _start(trainer: Trainer, run: RunFolder | None, identity: dict[str, Any] | None) -> int:
    """Loads the newest state into every process; returns the epochs done."""
    fabric = trainer.fabric
    resumed = by_the_first(fabric, lambda: _resume(trainer, run, identity) if run is not None else 0)
    start = int(fabric.broadcast(resumed or 0))
    if fabric.world_size > 1 and start:
        trainer.load(fabric.broadcast({k: v.cpu() for k, v in trainer.state().items()}))
    return start


def _resume(trainer: Trainer, run: RunFolder, identity: dict[str, Any] | None) -> int:
    """Loads the newest state and forgets the metrics written after it; returns the epochs done.

    Raises:
        UsageError: the run was begun with other images, style weights, precision or number of processes.
    """
    folder = run.path / "state"
    if not any(folder.glob("epoch-*.json")):
        run.metrics.truncate(0)
        return 0
    tensors, meta = load_checkpoint(folder)
    before = meta.get("identity") or {}
    other = [name for name, value in (identity or {}).items() if before.get(name, value) != value]
    if other:
        raise UsageError(
            f"{run.path}: was begun with another {' and '.join(other)}; use the same to resume, or another --out"
        )
    trainer.load(tensors)
    prune(run)
    done = int(meta["epoch"])
    run.metrics.truncate(done)
    return done
