"""What an epoch leaves behind: a line of metrics and, when they are due, a sheet of samples and a checkpoint."""

from __future__ import annotations

from typing import Any

import torch

from defects.images import encode_image
from engine.checkpoint import remove_checkpoint, save_checkpoint
from engine.files import write_bytes
from engine.progress import Progress
from engine.run import RunFolder
from gan.batches import learning_rate
from gan.health import CollapseWatch, loss_shares
from gan.trainer import Trainer

KEPT = 2
GRID = 8


class Recorder:
    """Writes the files of a run, in the process that holds its folder.

    Args:
        trainer: networks and data.
        run: the folder, held.
        meta: what every checkpoint says besides its epoch.
        progress: also takes lines for a person to read.
        board: a writer of TensorBoard events, or None.
    """

    def __init__(
        self, trainer: Trainer, run: RunFolder, meta: dict[str, Any], progress: Progress, board: Any = None
    ) -> None:
        self.trainer, self.run, self.meta, self.progress, self.board = trainer, run, meta, progress, board
        self.watch = CollapseWatch()

    def __call__(self, done: int, means: dict[str, float], images: int, seconds: float) -> None:
        """Records epoch number `done`, counted from 1, of so many images in so many seconds.

        Raises:
            OutputError: a file cannot be written.
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
            self.progress.write(loss_shares(config, means))
        last = done == schedule.epochs
        draw, save = (
            done % schedule.sample_every == 0 or done == 1 or last,
            done % schedule.checkpoint_every == 0 or last,
        )
        weights = self.trainer.average_weights() if draw or save else {}
        if draw:
            grid = self.trainer.sheet(weights, GRID)
            write_bytes(self.run.samples / f"epoch-{done:04d}.png", encode_image(grid.picture, "png"))
            self.watch.modes(grid.spread, grid.usual, done)
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
        for old in sorted(folder.glob("epoch-*.safetensors"))[:-KEPT]:
            remove_checkpoint(old.with_suffix(""))
