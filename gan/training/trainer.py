"""The networks of a run, their optimizers and one epoch of training.

All that is random depends on (seed, epoch, position), so that a resumed run ends in the very files of an undisturbed
one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from lightning_fabric import Fabric

from defects.attributes.guide import GuideSchema
from engine.commands import Progress
from engine.errors import TrainingError
from engine.runtime.device import inference_dtype
from engine.seeding import torch_generator
from engine.training.optimizer import MasterAdam, load_state, save_state
from gan.config import GanConfig
from gan.data.dataset import Prepared
from gan.data.loader import Batch, epoch_crops, epoch_order, learning_rate, to_batch
from gan.losses.style import StyleLoss
from gan.networks.encoder import Encoder
from gan.networks.magna_generator import Noise
from gan.networks.registry import AVERAGED, Generator, WholeImageGenerator, build_networks
from gan.training.magna_step import Networks, Optimizers, Step
from gan.training.sample_grid import SampleGrid, sample_grid

LATENT_IMAGES = 512

StepBuilder = Callable[[Networks, Optimizers, GanConfig, GuideSchema, StyleLoss | None], Step]


def training_dtype(config: GanConfig, device: torch.device) -> torch.dtype:
    """bfloat16 where requested or, with `auto`, where the hardware multiplies it; the masters stay float32."""
    if config.train.precision == "auto":
        return inference_dtype(device)
    return torch.bfloat16 if config.train.precision == "bf16" else torch.float32


class Trainer(ABC):
    """Holds the networks of a run and trains them; subclasses know their batches.

    Args:
        prepared: Data.
        config: Of the run.
        fabric: Launched; decides device, precision and number of processes.
        workers: Threads that cut crops; they change no byte.

    Attributes:
        weights: Of the generator's loss terms.
    """

    weights: Mapping[str, float]

    def __init__(self, prepared: Prepared, config: GanConfig, fabric: Fabric, workers: int = 2) -> None:
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
        per_step = config.train.batch_size * fabric.world_size
        self.steps_per_epoch = max(1, len(epoch_order(prepared, config, 0)) // per_step)

    @abstractmethod
    def update(self, crops: list[Any], name: tuple[int, int], rate: float, index: int) -> dict[str, float]:
        """One step.

        Args:
            crops: Of the batch.
            name: Epoch and number of the step in it, on which its random numbers depend.
            rate: Learning rate.
            index: Number of the step in the run.
        """

    @abstractmethod
    def sample_grid(self, weights: dict[str, torch.Tensor], columns: int) -> SampleGrid:
        """A grid of samples of the averaged weights."""

    @abstractmethod
    def encoder(self) -> Encoder:
        """An untrained one."""

    @abstractmethod
    def encoder_inputs(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The encoder's inputs for the training images, without augmentation, and guide vectors, in batches."""

    def epoch(self, epoch: int, progress: Progress) -> dict[str, float]:
        """Trains one epoch; the mean of every scalar.

        Raises:
            TrainingError: As soon as a loss, in any process, or at the end a weight is not finite.
        """
        rate = learning_rate(self.config, epoch)
        sums: dict[str, float] = {}
        count = 0
        for number, crops in enumerate(self._crops(epoch)):
            index = epoch * self.steps_per_epoch + number
            report = self.update(crops, (epoch, number), rate, index)
            broken = [name for name, value in report.items() if not math.isfinite(value)]
            if self._anywhere(bool(broken)):
                raise _not_a_number(f"epoch {epoch + 1}, step {number + 1}", broken or ["a loss of another process"])
            for name, value in report.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            progress.update(len(crops) * self.fabric.world_size)
        broken = [f"a weight of the {name}" for name, adam in self.optimizers.items() if not adam.finite()]
        if self._anywhere(bool(broken)):
            raise _not_a_number(f"epoch {epoch + 1}", broken or ["a weight of another process"])
        return {name: value / count for name, value in sums.items()}

    def _crops(self, epoch: int) -> Iterator[list[Any]]:
        fabric = self.fabric
        return epoch_crops(
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
        for inputs, vectors in self.encoder_inputs():
            mean, log_variance = encoder(inputs)
            means.append(mean)
            variances.append(log_variance.exp())
            guides.append(vectors)
        fitted = self.generator.latent.fit(torch.cat(means), torch.cat(variances), torch.cat(guides))
        return {f"latent.{name}": value for name, value in fitted.items()}

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that a resumed run needs."""
        return save_state(self.optimizers, self.networks)

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Reads what `state` returned.

        Raises:
            CheckpointError: It is the state of other networks.
        """
        load_state(self.optimizers, self.networks, tensors)


class WholeImageTrainer(Trainer):
    """Trains an architecture that generates whole images; see `Trainer`.

    Args:
        build_step: Builds its step.
        prepared: Data.
        config: Of the run.
        fabric: Launched.
        style: Style loss or None.
        workers: Threads that cut crops.
    """

    def __init__(
        self,
        build_step: StepBuilder,
        prepared: Prepared,
        config: GanConfig,
        fabric: Fabric,
        style: StyleLoss | None,
        workers: int = 2,
    ) -> None:
        super().__init__(prepared, config, fabric, workers)
        if style is not None:
            style.to(fabric.device)
        self.step = build_step(self.networks, self.optimizers, config, prepared.schema, style)
        self.weights = self.step.weights

    def noise(self, count: int, *name: str | int) -> tuple[Noise, torch.Tensor]:
        """Noise of one step, and the shifts of the brightness guide; see `Step`."""
        extra = (count + 1) // 2 if self.step.swaps else 0
        generator = torch_generator(self.config.train.seed, "noise", self.fabric.global_rank, *name)
        noise = self.generator.draw_noise(count + extra, generator)
        shifts = torch.randn(extra, generator=generator) * 0.5
        return noise.to(self.fabric.device), shifts.to(self.fabric.device)

    def update(self, crops: list[Any], name: tuple[int, int], rate: float, index: int) -> dict[str, float]:
        """See `Trainer.update`."""
        batch = to_batch(crops, self.prepared)
        device = self.fabric.device
        batch = Batch(*(t.to(device) for t in (batch.images, batch.masks, batch.conditions, batch.guides)))
        noise, shifts = self.noise(len(crops), *name)
        return self.step(batch, noise, shifts, rate, index)

    def sample_grid(self, weights: dict[str, torch.Tensor], columns: int) -> SampleGrid:
        """See `gan.training.sample_grid`."""
        generator = cast(WholeImageGenerator, self.generator)
        return sample_grid(generator, weights, self.prepared, columns=columns, seed=self.config.train.seed)

    def encoder(self) -> Encoder:
        """See `Trainer.encoder`."""
        return Encoder(cast(Any, self.config.network))

    def encoder_inputs(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """See `Trainer.encoder_inputs`."""
        count = len(self.prepared.train)
        selected = range(0, count, max(1, count // LATENT_IMAGES))
        for first in range(0, len(selected), 32):
            crops = [self.prepared.train.cut(i, None) for i in selected[first : first + 32]]
            batch = to_batch(crops, self.prepared)
            yield batch.images, batch.guides


def _not_a_number(where: str, names: list[str]) -> TrainingError:
    return TrainingError(
        f"{where}: {', '.join(names)} is not a number; the last good checkpoint stays; train again into another --out "
        "with a lower --set train.learning_rate, or with --set train.precision=fp32",
        code="E-train-not-a-number",
    )
