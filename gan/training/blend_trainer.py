"""The training of Magna-Blend: pairs of crops instead of whole images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from engine.seeding import torch_generator
from gan.config import BlendNetwork, BlendTrainConfig, GanConfig
from gan.data.blend_pairs import PairSource
from gan.data.dataset import Prepared
from gan.data.diff_augment import NEUTRAL, NUMBERS
from gan.losses.style import StyleLoss
from gan.networks.blend_generator import BlendGenerator
from gan.networks.encoder import Encoder
from gan.training.blend_step import BlendStep, encoder_input, to_pairs
from gan.training.sample_grid import SampleGrid, blend_grid
from gan.training.trainer import Trainer

SHIFT = 0.5
"""Standard deviation of the change of the brightness guide, in vector units."""


class BlendTrainer(Trainer):
    """Trains blend; see `Trainer`. It has no style term."""

    def __init__(
        self,
        prepared: Prepared,
        config: GanConfig,
        fabric: Fabric,
        style: StyleLoss | None = None,  # noqa: ARG002
        workers: int = 2,
    ) -> None:
        network = cast(BlendNetwork, config.network)
        self.source = PairSource(
            prepared.train, side=network.side, blend_radius=network.blend_radius, seed=config.train.seed
        )
        super().__init__(replace(prepared, train=self.source), config, fabric, workers)
        self.step = BlendStep.build(self.networks, self.optimizers, config, prepared.schema)
        self.weights = self.step.weights

    def update(
        self,
        crops: list[Any],
        name: tuple[int, int],
        rate: float,
        index: int,  # noqa: ARG002
    ) -> dict[str, float]:
        """See `Trainer.update`."""
        n, device = len(crops), self.fabric.device
        extra = (n + 1) // 2
        generator = torch_generator(self.config.train.seed, "noise", self.fabric.global_rank, *name)
        noise = self.generator.draw_noise(n + extra, generator).to(device)
        shifts = (torch.randn(extra, generator=generator) * SHIFT).to(device)
        draws = torch.rand(n, NUMBERS, generator=generator).to(device)
        if not cast(BlendTrainConfig, self.config.train).diff_augment:
            draws = torch.full_like(draws, NEUTRAL)
        return self.step(to_pairs(crops, self.prepared.schema).to(device), noise, shifts, draws, rate)

    def sample_grid(self, weights: dict[str, Tensor], columns: int) -> SampleGrid:
        """See `gan.training.sample_grid`."""
        return blend_grid(
            cast(BlendGenerator, self.generator),
            weights,
            self.source,
            self.prepared.schema,
            self.prepared.defective,
            columns=columns,
            seed=self.config.train.seed,
        )

    def encoder(self) -> Encoder:
        """See `Trainer.encoder`."""
        return Encoder(cast(BlendNetwork, self.config.network), 1)

    def encoder_inputs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Trainer.encoder_inputs`; good images have no defect to encode."""
        defective = self.prepared.defective
        for first in range(0, len(defective), 32):
            pairs = to_pairs([self.source.cut(i, None) for i in defective[first : first + 32]], self.prepared.schema)
            yield encoder_input(pairs), pairs.guides
