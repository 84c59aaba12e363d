"""The networks of a run, their optimisers and one epoch of training.

All that is random is drawn from (seed, epoch, position), so that a resumed run ends in the very files of an undisturbed
one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from lightning_fabric import Fabric

from engine.commands import Progress
from engine.errors import MagnaError
from engine.runtime.device import inference_dtype
from engine.seeding import torch_generator
from engine.training.optimizer import MasterAdam, load_state, save_state
from gan.config import GanConfig
from gan.data.crops import Window
from gan.data.dataset import Prepared
from gan.data.loader import Batch, epoch_order, epoch_windows, learning_rate, to_batch
from gan.losses.style import StyleLoss
from gan.networks.encoder import Posterior
from gan.networks.magna_generator import Noise
from gan.networks.registry import AVERAGED, Generator, build_networks
from gan.training.registry import build_step
from gan.training.sample_grid import Grid, sample_grid

LATENT_IMAGES = 512


class TrainingError(MagnaError):
    """The training cannot go on: a loss is not a number."""


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
        workers: threads that cut windows; they change no byte.
    """

    def __init__(
        self, prepared: Prepared, config: GanConfig, fabric: Fabric, style: StyleLoss | None, workers: int = 2
    ) -> None:
        self.prepared, self.config, self.fabric, self.workers = prepared, config, fabric, workers
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.train.seed)
            networks = build_networks(config.network, prepared.schema)
        rate, ema = config.train.learning_rate, config.train.ema
        self.optimizers = {
            name: MasterAdam(network.to(fabric.device), rate, ema=ema if name in AVERAGED else None)
            for name, network in networks.items()
        }
        dtype = training_dtype(config, fabric.device)
        self.networks = {
            name: fabric.setup_module(network.to(dtype=dtype).to(memory_format=torch.channels_last))
            for name, network in networks.items()
        }
        self.generator = cast(Generator, networks["generator"])
        if style is not None:
            style.to(fabric.device)
        self.step: Any = self.make_step(style)
        per_step = config.train.batch_size * fabric.world_size
        self.steps_per_epoch = max(1, len(epoch_order(prepared, config, 0)) // per_step)

    def make_step(self, style: StyleLoss | None) -> Any:
        """The update that `update` calls."""
        return build_step(self.config, self.prepared.schema, self.networks, self.optimizers, style)

    def noise(self, count: int, *name: str | int) -> tuple[Noise, torch.Tensor]:
        """Noise of one step, posterior's share first, and the shifts of the brightness guide."""
        extra = (count + 1) // 2 if self.config.network.posterior else 0
        generator = torch_generator(self.config.train.seed, "noise", self.fabric.global_rank, *name)
        noise = self.generator.draw_noise(count + extra, generator)
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
        for number, windows in enumerate(self._windows(epoch)):
            index = epoch * self.steps_per_epoch + number
            report = self.update(windows, (epoch, number), rate, index)
            broken = [name for name, value in report.items() if not math.isfinite(value)]
            if self._anywhere(bool(broken)):
                raise _not_a_number(f"epoch {epoch + 1}, step {number + 1}", broken or ["a loss of another process"])
            for name, value in report.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            progress.update(len(windows) * self.fabric.world_size)
        broken = [f"a weight of the {name}" for name, adam in self.optimizers.items() if not adam.finite()]
        if self._anywhere(bool(broken)):
            raise _not_a_number(f"epoch {epoch + 1}", broken or ["a weight of another process"])
        return {name: value / count for name, value in sums.items()}

    def update(self, windows: list[Any], name: tuple[int, int], rate: float, index: int) -> dict[str, float]:
        """One step.

        Args:
            windows: of the batch.
            name: epoch and number of the step in it, on which its random numbers depend.
            rate: learning rate.
            index: number of the step in the run.
        """
        batch = to_batch(windows, self.prepared)
        device = self.fabric.device
        batch = Batch(*(t.to(device) for t in (batch.images, batch.masks, batch.conditions, batch.guides)))
        noise, shifts = self.noise(len(windows), *name)
        report: dict[str, float] = self.step(batch, noise, shifts, rate, index)
        return report

    def sheet(self, weights: dict[str, torch.Tensor], columns: int) -> Grid:
        """A sheet of samples of the averaged weights."""
        return sample_grid(self.generator, weights, self.prepared, columns=columns, seed=self.config.train.seed)

    def _windows(self, epoch: int) -> Iterator[list[Window]]:
        fabric = self.fabric
        return epoch_windows(
            self.prepared, self.config, epoch, rank=fabric.global_rank, ranks=fabric.world_size, workers=self.workers
        )

    def _anywhere(self, here: bool) -> bool:
        """Whether something holds in any process: all of them must stop at the same step."""
        if self.fabric.world_size == 1:
            return here
        return bool(self.fabric.all_reduce(torch.tensor(float(here), device=self.fabric.device), reduce_op="sum"))

    def average_weights(self) -> dict[str, torch.Tensor]:
        """The generator's averaged weights and its buffers, by its own names."""
        averaged = self.optimizers["generator"].averaged() | dict(self.generator.named_buffers())
        weights = {k: v.float() if v.is_floating_point() else v for k, v in averaged.items()}
        return weights | self.latent_placement()

    @torch.no_grad()
    def latent_placement(self) -> dict[str, torch.Tensor]:
        """Where the averaged encoder puts the training images, as buffers of the generator; see `magna_generator`."""
        adam = self.optimizers.get("posterior")
        if adam is None or self.generator.latent is None:
            return {}
        encoder = self.encoder()
        encoder.load_state_dict({k: v.cpu() for k, v in adam.averaged().items()})
        means, variances, guides = [], [], []
        for seen, own in self.encoded():
            mean, log_variance = encoder(seen)
            means.append(mean)
            variances.append(log_variance.exp())
            guides.append(own)
        fitted = self.generator.latent.fit(torch.cat(means), torch.cat(variances), torch.cat(guides))
        return {f"latent.{name}": value for name, value in fitted.items()}

    def encoder(self) -> Posterior:
        """A fresh one."""
        return Posterior(self.config.network)

    def encoded(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """What the encoder sees of the training images, plainly cut, and their guide vectors, in batches."""
        count = len(self.prepared.train)
        chosen = range(0, count, max(1, count // LATENT_IMAGES))
        for first in range(0, len(chosen), 32):
            batch = to_batch([self.prepared.train.cut(i, None) for i in chosen[first : first + 32]], self.prepared)
            yield batch.images, batch.guides

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that a resumed run needs."""
        return save_state(self.optimizers, self.networks)

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Reads what `state` wrote.

        Raises:
            CheckpointError: it is the state of other networks.
        """
        load_state(self.optimizers, self.networks, tensors)


def _not_a_number(where: str, names: list[str]) -> TrainingError:
    return TrainingError(
        f"{where}: {', '.join(names)} is not a number; the last good checkpoint is kept; train anew into another --out "
        "with a lower --set train.learning_rate, or with --set train.precision=fp32"
    )
