"""Training a generator: fetch, step, average, tick.

Progress is counted in epochs of images; every tick writes one line of metrics, every few epochs a grid of samples of
fixed masks and noise and a checkpoint. All that is random is drawn from (seed, epoch, position), so that a resumed run
ends in the very files of an undisturbed one.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from defects.images import encode_image
from engine.checkpoint import find_checkpoint, load_checkpoint, remove_checkpoint, save_checkpoint
from engine.errors import MagnaError, UsageError
from engine.files import write_bytes
from engine.progress import Progress
from engine.run import RunFolder
from engine.seeding import numpy_generator, torch_generator
from gan.config import GanConfig
from gan.discriminator import MagnaDiscriminator
from gan.generator import MagnaGenerator, Noise
from gan.grid import sample_grid
from gan.optimiser import MasterAdam
from gan.posterior import Posterior
from gan.precision import inference_dtype
from gan.prepare import Prepared
from gan.step import Batch, MagnaStep, Players
from gan.style import StyleLoss
from gan.windows import Window

logger = logging.getLogger(__name__)

KEPT = 2
GRID = 8
LATENT_IMAGES = 512


class TrainingError(MagnaError):
    """The training cannot go on: a loss is not a number."""


def learning_rate(config: GanConfig, epoch: int) -> float:
    """The rate of an epoch: constant in the first half, then decaying exponentially to `final_rate` of it (source).

    >>> [round(learning_rate(GanConfig(), e) / 2e-4, 3) for e in (0, 99, 150, 199)]
    [1.0, 1.0, 0.141, 0.021]
    """
    half = config.train.epochs / 2
    share = max(0.0, (epoch - half) / max(half, 1))
    return float(config.train.learning_rate * config.train.final_rate**share)


def epoch_order(prepared: Prepared, config: GanConfig, epoch: int) -> list[int]:
    """The samples of an epoch: every defective one once and a fresh draw of good ones, shuffled."""
    rng = numpy_generator(config.train.seed, "order", epoch)
    good = prepared.good
    wanted = min(len(good), round(config.data.good_per_defect * len(prepared.defective)))
    chosen = (
        prepared.defective + [int(i) for i in rng.choice(good, wanted, replace=False)] if wanted else prepared.defective
    )
    return [chosen[i] for i in rng.permutation(len(chosen))]


def to_batch(windows: list[Window], prepared: Prepared) -> Batch:
    """Windows to tensors on the CPU, channels last."""
    images = torch.from_numpy(np.stack([w.image for w in windows])).permute(0, 3, 1, 2).float() / 127.5 - 1
    masks = torch.from_numpy(np.stack([w.mask for w in windows])[:, None]).float()
    conditions = torch.from_numpy(np.stack([w.condition for w in windows])[:, None]).float()
    vectors = np.stack([prepared.schema.encode(prepared.schema.scale(w.guide)) for w in windows])
    layout = torch.channels_last
    return Batch(
        images.contiguous(memory_format=layout),
        masks.contiguous(memory_format=layout),
        conditions.contiguous(memory_format=layout),
        torch.from_numpy(vectors),
    )


def training_dtype(config: GanConfig, device: torch.device) -> torch.dtype:
    """bfloat16 where asked for or, with `auto`, where the hardware multiplies it; the masters stay float32."""
    if config.train.precision == "auto":
        return inference_dtype(device)
    return torch.bfloat16 if config.train.precision == "bf16" else torch.float32


class Trainer:
    """Holds the networks of a run and trains them.

    Args:
        prepared: data.
        config: of the run.
        fabric: launched; decides device, precision and number of processes.
        style: style loss or None.
    """

    def __init__(self, prepared: Prepared, config: GanConfig, fabric: Fabric, style: StyleLoss | None) -> None:
        self.prepared, self.config, self.fabric = prepared, config, fabric
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.train.seed)
            size = prepared.schema.size
            self.generator = MagnaGenerator(config.network, size, prepared.schema.columns("background"))
            discriminator = MagnaDiscriminator(config.network, size)
            posterior = Posterior(config.network) if config.network.posterior else None
        rate, ema = config.train.learning_rate, config.train.ema
        adams = [
            MasterAdam(network.to(fabric.device), rate, ema=None if network is discriminator else ema)
            if network
            else None
            for network in (self.generator, discriminator, posterior)
        ]
        dtype = training_dtype(config, fabric.device)
        modules = [
            fabric.setup_module(m.to(dtype=dtype).to(memory_format=torch.channels_last)) if m is not None else None
            for m in (self.generator, discriminator, posterior)
        ]
        self.adams = dict(zip(("generator", "discriminator", "posterior"), adams, strict=True))
        players = Players(*modules, *adams)  # type: ignore[arg-type]
        if style is not None:
            style.to(fabric.device)
        self.step = MagnaStep(players, style, config, prepared.schema)

    @property
    def steps_per_epoch(self) -> int:
        count = len(epoch_order(self.prepared, self.config, 0))
        return max(1, count // (self.config.train.batch_size * self.fabric.world_size))

    def windows(self, epoch: int) -> Iterator[list[Window]]:
        """The batches of an epoch for this process, cut one step ahead in a thread."""
        order = epoch_order(self.prepared, self.config, epoch)
        per_step = self.config.train.batch_size * self.fabric.world_size
        starts = range(0, max(len(order) - len(order) % per_step, min(per_step, len(order))), per_step)

        def cut(start: int) -> list[Window]:
            positions = list(range(start, start + per_step))[self.fabric.global_rank :: self.fabric.world_size]
            seed = self.config.train.seed
            return [
                self.prepared.train.cut(order[i % len(order)], numpy_generator(seed, "window", epoch, i))
                for i in positions
            ]

        with ThreadPoolExecutor(1) as pool:
            pending = [pool.submit(cut, start) for start in starts[:1]]
            for start in [*starts[1:], None]:
                windows = pending.pop().result()
                if start is not None:
                    pending.append(pool.submit(cut, start))
                yield windows

    def noise(self, count: int, *name: str | int) -> tuple[Noise, torch.Tensor]:
        """Noise of one step, posterior's share first, and the shifts of the brightness guide."""
        extra = (count + 1) // 2 if self.config.network.posterior else 0
        generator = torch_generator(self.config.train.seed, "noise", self.fabric.global_rank, *name)
        sides = self.generator.texture_sides()
        textures = tuple(torch.randn(count + extra, 1, s, s, generator=generator) for s in sides)
        noise = Noise(torch.randn(count + extra, self.config.network.latent, generator=generator), textures)
        shifts = torch.randn(extra, generator=generator) * 0.5
        return noise.to(self.fabric.device), shifts.to(self.fabric.device)

    def epoch(self, epoch: int, progress: Progress) -> dict[str, float]:
        """Trains one epoch; the mean of every scalar.

        Raises:
            TrainingError: as soon as a loss, in any process, or at the end a weight is not finite.
        """
        rate = learning_rate(self.config, epoch)
        sums: dict[str, float] = {}
        count = 0
        for number, windows in enumerate(self.windows(epoch)):
            index = epoch * self.steps_per_epoch + number
            batch = to_batch(windows, self.prepared)
            device = self.fabric.device
            batch = Batch(*(t.to(device) for t in (batch.images, batch.masks, batch.conditions, batch.guides)))
            noise, shifts = self.noise(len(windows), epoch, number)
            report = self.step(batch, noise, shifts, rate, index)
            broken = [name for name, value in report.items() if not math.isfinite(value)]
            if self._anywhere(bool(broken)):
                raise _not_a_number(f"epoch {epoch + 1}, step {number + 1}", broken or ["a loss of another process"])
            for name, value in report.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            progress.update(len(windows) * self.fabric.world_size)
        broken = [
            f"a weight of the {name}" for name, adam in self.adams.items() if adam is not None and not adam.finite()
        ]
        if self._anywhere(bool(broken)):
            raise _not_a_number(f"epoch {epoch + 1}", broken or ["a weight of another process"])
        return {name: value / count for name, value in sums.items()}

    def _anywhere(self, here: bool) -> bool:
        """Whether something holds in any process: all of them must stop at the same step."""
        if self.fabric.world_size == 1:
            return here
        return bool(self.fabric.all_reduce(torch.tensor(float(here), device=self.fabric.device), reduce_op="sum"))

    def average_weights(self) -> dict[str, torch.Tensor]:
        """The generator's averaged weights and its buffers, by the names of `MagnaGenerator`."""
        adam = self.adams["generator"]
        if adam is None:
            raise ValueError("expected an optimiser for the generator, got none")
        buffers = dict(self.generator.named_buffers())
        weights = {k: v.float() if v.is_floating_point() else v for k, v in (adam.averaged() | buffers).items()}
        return weights | self.latent_placement()

    @torch.no_grad()
    def latent_placement(self) -> dict[str, torch.Tensor]:
        """Where the averaged encoder puts the training images, as buffers of the generator; see `gan.latent`."""
        adam = self.adams["posterior"]
        if adam is None or self.generator.latent is None:
            return {}
        encoder = Posterior(self.config.network)
        encoder.load_state_dict({k: v.cpu() for k, v in adam.averaged().items()})
        count = len(self.prepared.train)
        chosen = range(0, count, max(1, count // LATENT_IMAGES))
        means, variances, guides = [], [], []
        for first in range(0, len(chosen), 32):
            batch = to_batch([self.prepared.train.cut(i, None) for i in chosen[first : first + 32]], self.prepared)
            mean, log_variance = encoder(batch.images)
            means.append(mean)
            variances.append(log_variance.exp())
            guides.append(batch.guides)
        fitted = self.generator.latent.fit(torch.cat(means), torch.cat(variances), torch.cat(guides))
        return {f"latent.{name}": value for name, value in fitted.items()}

    def state(self) -> dict[str, torch.Tensor]:
        tensors: dict[str, torch.Tensor] = {}
        for name, adam in self.adams.items():
            if adam is not None:
                tensors |= adam.state(name)
        for name, module in (
            ("generator", self.step.players.generator),
            ("discriminator", self.step.players.discriminator),
        ):
            tensors |= {f"{name}.buffer.{k}": v for k, v in _plain(module).named_buffers()}
        return tensors

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        for name, adam in self.adams.items():
            if adam is not None:
                adam.load(tensors, name)
        for name, module in (
            ("generator", self.step.players.generator),
            ("discriminator", self.step.players.discriminator),
        ):
            for k, buffer in _plain(module).named_buffers():
                buffer.copy_(tensors[f"{name}.buffer.{k}"])


def _not_a_number(where: str, names: list[str]) -> TrainingError:
    return TrainingError(
        f"{where}: {', '.join(names)} is not a number; the last good checkpoint is kept; train anew into another --out "
        "with a lower --set train.learning_rate, or with --set train.precision=fp32"
    )


def _plain(module: Any) -> torch.nn.Module:
    """The network inside Fabric's and DDP's wrappers."""
    inner = getattr(module, "module", module)
    return inner if isinstance(inner, torch.nn.Module) else module


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
    start = _resume(trainer, run) if run is not None else 0
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
                    progress.write(_shares(config, means))
                _warn(means, done)
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
    save_checkpoint(run.path / "state" / f"epoch-{epoch:04d}", trainer.state(), {"epoch": epoch})
    _prune(run)


def _prune(run: RunFolder) -> None:
    """Keeps the newest checkpoints and states."""
    for folder in (run.checkpoints, run.path / "state"):
        for old in sorted(folder.glob("epoch-*.safetensors"))[:-KEPT]:
            remove_checkpoint(old.with_suffix(""))


def _resume(trainer: Trainer, run: RunFolder) -> int:
    """Loads the newest state and forgets the metrics written after it; returns the epochs done."""
    folder = run.path / "state"
    if not any(folder.glob("epoch-*.json")):
        run.metrics.truncate(0)
        return 0
    tensors, meta = load_checkpoint(folder)
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


def _shares(config: GanConfig, means: dict[str, float]) -> str:
    """How much of the generator's loss each term is, in the first epoch."""
    terms = {
        n: getattr(config.loss, n) * means[n]
        for n in ("reconstruction", "adversarial", "style", "kl", "swap", "guide")
        if n in means
    }
    total = sum(terms.values()) or 1.0
    return "shares of the generator's loss: " + ", ".join(f"{n} {100 * v / total:.0f} %" for n, v in terms.items())


def _warn(means: dict[str, float], epoch: int) -> None:
    if epoch >= 5 and means["d_real"] > 0.98 and means["d_fake"] < 0.02:
        logger.warning(
            "epoch %d: the discriminator tells every patch apart (real %.3f, fake %.3f), so the adversarial term "
            "teaches nothing; lower its width or rate",
            epoch,
            means["d_real"],
            means["d_fake"],
        )
