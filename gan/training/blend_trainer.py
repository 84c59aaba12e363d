"""One epoch of training Magna-Blend: the machinery of `gan.training.trainer` on pairs instead of windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from engine.seeding import torch_generator
from gan.config import GanConfig
from gan.data.blend_pairs import BlendSource
from gan.data.dataset import Prepared
from gan.data.diff_augment import NUMBERS, STILL
from gan.losses.style import StyleLoss
from gan.networks.encoder import Posterior
from gan.training.blend_step import BlendStep, seen_by_encoder, to_pairs
from gan.training.sample_grid import Grid, blend_grid
from gan.training.trainer import Trainer

SHIFT = 0.5
"""Standard deviation of the change of the brightness guide, in vector units."""


class BlendTrainer(Trainer):
    """Holds the networks of a run and trains them; see `Trainer`."""

    def __init__(
        self, prepared: Prepared, config: GanConfig, fabric: Fabric, style: StyleLoss | None, workers: int = 2
    ) -> None:
        network = config.network
        self.source = BlendSource(prepared.train, side=network.side, reach=network.reach, seed=config.train.seed)
        super().__init__(replace(prepared, train=self.source), config, fabric, style, workers)

    def make_step(self, style: StyleLoss | None) -> BlendStep:
        """See `Trainer.make_step`; there is no style term."""
        del style
        return BlendStep(self.networks, self.optimizers, self.config, self.prepared.schema)

    def update(self, windows: list[Any], name: tuple[int, int], rate: float, index: int) -> dict[str, float]:
        """See `Trainer.update`."""
        n, device = len(windows), self.fabric.device
        extra = (n + 1) // 2
        generator = torch_generator(self.config.train.seed, "noise", self.fabric.global_rank, *name)
        blender = cast(Any, self.generator)
        noise = blender.draw_noise(n + extra, generator).to(device)
        shifts = (torch.randn(extra, generator=generator) * SHIFT).to(device)
        jolts = torch.rand(n, NUMBERS, generator=generator).to(device)
        if not self.config.train.jolts:
            jolts = torch.full_like(jolts, STILL)
        pairs = to_pairs(windows, self.prepared.schema).to(device)
        report: dict[str, float] = self.step(pairs, noise, shifts, jolts, rate, index)
        return report

    def sheet(self, weights: dict[str, Tensor], columns: int) -> Grid:
        """See `gan.training.sample_grid`."""
        return blend_grid(
            cast(Any, self.generator),
            weights,
            self.source,
            self.prepared.schema,
            self.prepared.defective,
            columns=columns,
            seed=self.config.train.seed,
        )

    def encoder(self) -> Posterior:
        """See `Trainer.encoder`."""
        return Posterior(self.config.network, 1)

    def encoded(self) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Trainer.encoded`; good images have no defect to encode."""
        defective = self.prepared.defective
        for first in range(0, len(defective), 32):
            pairs = to_pairs([self.source.cut(i, None) for i in defective[first : first + 32]], self.prepared.schema)
            yield seen_by_encoder(pairs), pairs.guides
