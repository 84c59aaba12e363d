"""The training loop: train an epoch, log it, draw samples, save; and go on where a run stopped.

Progress is counted in images; every epoch writes one line of metrics, every few epochs a grid of samples of fixed masks
and noise and a checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defects.images import encode_image
from engine.checkpoint import find_checkpoint, load_checkpoint, remove_checkpoint, save_checkpoint
from engine.errors import UsageError
from engine.files import write_bytes
from engine.progress import Progress
from engine.run import RunFolder
from gan.batches import learning_rate
from gan.grid import sample_grid
from gan.health import loss_shares, warn_of_collapse
from gan.trainer import Trainer

KEPT = 2
GRID = 8


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
    """
    config, fabric = trainer.config, trainer.fabric
    start = _resume(trainer, run, meta.get("identity")) if run is not None else 0
    start = int(fabric.broadcast(start))
    if fabric.world_size > 1 and start:
        _share(trainer)
    per_epoch = trainer.steps_per_epoch * config.train.batch_size * fabric.world_size
    label = f"train {config.name}"
    images = config.train.epochs * per_epoch
    with (
        _board(run if tensorboard else None) as board,
        Progress(images, label, json=json, quiet=run is None, unit="img") as progress,
    ):
        progress.update(start * per_epoch)
        for epoch in range(start, config.train.epochs):
            began = time.monotonic()
            means = trainer.epoch(epoch, progress)
            done = epoch + 1
            if run is not None:
                run.metrics.append(
                    [
                        {
                            "epoch": done,
                            "rate": learning_rate(config, epoch),
                            **{k: round(v, 6) for k, v in means.items()},
                        }
                    ]
                )
                if done == 1:
                    progress.write(loss_shares(config, means))
                warn_of_collapse(means, done)
                if board is not None:
                    for name, value in means.items():
                        board.add_scalar(name, value, done)
                if done % config.train.sample_every == 0 or done in (1, config.train.epochs):
                    write_bytes(run.samples / f"epoch-{done:04d}.png", encode_image(_grid(trainer), "png"))
                if done % config.train.checkpoint_every == 0 or done == config.train.epochs:
                    _save(trainer, run, done, meta)
                    progress.write(
                        f"epoch {done}/{config.train.epochs}: reconstruction {means['reconstruction']:.4f}, "
                        f"d_real {means['d_real']:.2f}, d_fake {means['d_fake']:.2f}, "
                        f"{per_epoch / (time.monotonic() - began):.1f} img/s"
                    )
            fabric.barrier()
    return find_checkpoint(run.checkpoints) if run is not None else None


@contextmanager
def _board(run: RunFolder | None) -> Iterator[Any]:
    """A writer of TensorBoard events; None where none are wanted."""
    if run is None:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError("--tensorboard: the package is not installed; run `pip install tensorboard`") from None
    with SummaryWriter(str(run.path / "tensorboard")) as board:
        yield board


def _save(trainer: Trainer, run: RunFolder, epoch: int, meta: dict[str, Any]) -> None:
    stem = run.checkpoints / f"epoch-{epoch:04d}"
    save_checkpoint(stem, trainer.average_weights(), meta | {"epoch": epoch})
    save_checkpoint(
        run.path / "state" / f"epoch-{epoch:04d}", trainer.state(), {"epoch": epoch, "identity": meta.get("identity")}
    )
    _prune(run)


def _prune(run: RunFolder) -> None:
    """Keeps the newest checkpoints and states."""
    for folder in (run.checkpoints, run.path / "state"):
        for old in sorted(folder.glob("epoch-*.safetensors"))[:-KEPT]:
            remove_checkpoint(old.with_suffix(""))


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
    _prune(run)
    done = int(meta["epoch"])
    run.metrics.truncate(done)
    return done


def _share(trainer: Trainer) -> None:
    """Brings the state that rank 0 loaded to the other processes."""
    trainer.load(trainer.fabric.broadcast({k: v.cpu() for k, v in trainer.state().items()}))


def _grid(trainer: Trainer) -> NDArray[np.uint8]:
    return sample_grid(
        trainer.generator, trainer.average_weights(), trainer.prepared, columns=GRID, seed=trainer.config.train.seed
    )
