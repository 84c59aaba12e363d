"""The loop of a run: epochs, checkpoints, sample grids, metrics, and warnings about the training's health."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from defects.images.decode import encode_image
from engine.checkpoint import find_checkpoint, load_checkpoint, prune_checkpoints, save_checkpoint
from engine.commands import Progress
from engine.errors import UsageError
from engine.files.atomic import write_bytes
from engine.run.folder import RunFolder
from engine.training.launch import by_the_first
from gan.data.loader import learning_rate
from gan.training.trainer import Trainer

logger = logging.getLogger(__name__)


def loss_shares(weights: Mapping[str, float], means: Mapping[str, float]) -> str:
    """The share of each term in the generator's loss, in the first epoch."""
    terms = {name: weight * means[name] for name, weight in weights.items() if name in means}
    total = sum(terms.values()) or 1.0
    return "shares of the generator's loss: " + ", ".join(f"{n} {100 * v / total:.0f} %" for n, v in terms.items())


class CollapseWatch:
    """Warns of a discriminator that has won and of noise without effect: once in a row, not at every check."""

    def __init__(self) -> None:
        self._won = False
        self._still = False

    def discriminator(self, means: Mapping[str, float], epoch: int) -> None:
        """Checks the mean probabilities of an epoch, `d_real` and `d_fake`."""
        won = epoch >= 5 and means["d_real"] > 0.98 and means["d_fake"] < 0.02
        if won and not self._won:
            logger.warning(
                "epoch %d: the discriminator tells every patch apart (real %.3f, fake %.3f), so the adversarial term "
                "teaches nothing; lower its width or rate",
                epoch,
                means["d_real"],
                means["d_fake"],
            )
        self._won = won

    def modes(self, spread: float, typical: float, epoch: int) -> None:
        """Checks a grid of samples: another noise should change an image by a twentieth of `typical` at least."""
        still = spread < 0.05 * typical
        if still and not self._still:
            logger.warning(
                "epoch %d: mode collapse: another noise changes an image by %.2f gray levels, real images differ by "
                "%.1f",
                epoch,
                spread,
                typical,
            )
        self._still = still


RETAINED = 2
"""Checkpoints and states that stay."""
GRID = 8


class Recorder:
    """Writes the files of a run, in the process that holds its folder.

    Args:
        trainer: Networks and data.
        run: The folder, held.
        meta: Description of every checkpoint besides its epoch.
        progress: Also takes lines for a person to read.
        board: A writer of TensorBoard events, or None.
    """

    def __init__(
        self, trainer: Trainer, run: RunFolder, meta: dict[str, Any], progress: Progress, board: Any = None
    ) -> None:
        self.trainer, self.run, self.meta, self.progress, self.board = trainer, run, meta, progress, board
        self.watch = CollapseWatch()

    def __call__(self, done: int, means: dict[str, float], images: int, seconds: float) -> None:
        """Records epoch number `done`, counted from 1, of so many images in so many seconds.

        Raises:
            OutputError: A file cannot be written.
        """
        config, schedule = self.trainer.config, self.trainer.config.train
        rate = learning_rate(config, done - 1)
        self.run.metrics.append([{"epoch": done, "rate": rate, **{k: round(v, 6) for k, v in means.items()}}])
        self.run.timing.append([{"epoch": done, "images": images, "seconds": round(seconds, 3)}])
        self.watch.discriminator(means, done)
        if self.board is not None:
            for name, value in means.items():
                self.board.add_scalar(name, value, done)
        if done == 1:
            self.progress.write(loss_shares(self.trainer.weights, means))
        last = done == schedule.epochs
        draw, save = (
            done % schedule.sample_every == 0 or done == 1 or last,
            done % schedule.checkpoint_every == 0 or last,
        )
        weights = self.trainer.average_weights() if draw or save else {}
        if draw:
            grid = self.trainer.sample_grid(weights, GRID)
            write_bytes(self.run.samples / f"epoch-{done:04d}.png", encode_image(grid.image, "png"))
            self.watch.modes(grid.spread, grid.typical, done)
        if save:
            self._save(done, weights)
            self.progress.write(
                f"epoch {done}/{schedule.epochs}: reconstruction {means['reconstruction']:.4f}, "
                f"d_real {means['d_real']:.2f}, d_fake {means['d_fake']:.2f}, {images / seconds:.1f} img/s"
            )

    def _save(self, epoch: int, weights: dict[str, torch.Tensor]) -> None:
        save_checkpoint(self.run.checkpoints / f"epoch-{epoch:04d}", weights, self.meta | {"epoch": epoch})
        identity = self.meta.get("identity")
        state = self.run.path / "state" / f"epoch-{epoch:04d}"
        save_checkpoint(state, self.trainer.state(), {"epoch": epoch, "identity": identity})
        prune(self.run)


def prune(run: RunFolder) -> None:
    """Keeps the newest checkpoints and states."""
    for folder in (run.checkpoints, run.path / "state"):
        prune_checkpoints(folder, RETAINED)


def train(
    trainer: Trainer, run: RunFolder | None, meta: dict[str, Any], *, json: bool = False, tensorboard: bool = False
) -> Path | None:
    """Runs the schedule, from the last checkpoint of the run folder if it holds one.

    Args:
        trainer: Networks and data.
        run: The folder, held; None in the processes that do not write.
        meta: Description of every checkpoint besides its epoch.
        json: Progress as JSON lines.
        tensorboard: Write the scalars as TensorBoard events too.

    Returns:
        The last checkpoint.

    Raises:
        TrainingError: A loss is not finite.
        UsageError: The run was begun with other images, style weights, precision or number of processes.
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
    """A writer of TensorBoard events; None where none are requested."""
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
        UsageError: The run was begun with other images, style weights, precision or number of processes.
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
            f"{run.path}: was begun with another {' and '.join(other)}; use the same to resume, or another --out",
            code="E-resume-settings",
        )
    trainer.load(tensors)
    prune(run)
    done = int(meta["epoch"])
    run.metrics.truncate(done)
    return done
