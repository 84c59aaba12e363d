"""The trainer of every architecture, by name; `gan.networks.registry` holds the networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lightning_fabric import Fabric

from gan.config import GanConfig
from gan.data.dataset import Prepared
from gan.losses.style import StyleLoss
from gan.training.baseline_steps import CycleStep, Pix2PixStep
from gan.training.blend_trainer import BlendTrainer
from gan.training.magna_step import MagnaStep
from gan.training.trainer import Trainer, WholeImageTrainer

TRAINERS: dict[str, Callable[[Prepared, GanConfig, Fabric, StyleLoss | None, int], Trainer]] = {
    "magna": partial(WholeImageTrainer, MagnaStep.build),
    "blend": BlendTrainer,
    "pix2pix": partial(WholeImageTrainer, Pix2PixStep.build),
    "cyclegan": partial(WholeImageTrainer, CycleStep.build),
}


def build_trainer(
    prepared: Prepared, config: GanConfig, fabric: Fabric, style: StyleLoss | None = None, workers: int = 2
) -> Trainer:
    """The trainer of a configuration.

    Args:
        prepared: Data.
        config: Of the run.
        fabric: Launched; decides device, precision and number of processes.
        style: Calibrated style loss; None where its weight is 0.
        workers: Threads that cut crops; they change no byte.
    """
    return TRAINERS[config.network.architecture](prepared, config, fabric, style, workers)
