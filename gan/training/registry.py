"""The training step of every architecture, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from defects.attributes.guide import GuideSchema
from engine.training.optimizer import MasterAdam
from gan.config import GanConfig
from gan.data.loader import Batch
from gan.losses.style import StyleLoss
from gan.networks.magna_generator import Noise
from gan.training.baseline_steps import CycleStep, Pix2PixStep
from gan.training.magna_step import MagnaStep, Networks


class Step(Protocol):
    """One update of all networks; see `gan.training.magna_step.MagnaStep`."""

    def __call__(self, batch: Batch, noise: Noise, shifts: Tensor, rate: float, index: int) -> dict[str, float]: ...


def build_step(
    config: GanConfig,
    schema: GuideSchema,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, MasterAdam],
    style: StyleLoss | None,
) -> Step:
    """The step that trains the networks of `build_networks`."""
    if config.network.architecture == "pix2pix":
        return Pix2PixStep(networks, optimizers, config)
    if config.network.architecture == "cyclegan":
        return CycleStep(networks, optimizers, config)
    names = ("generator", "discriminator", "posterior")
    trained = Networks(*map(networks.get, names), *map(optimizers.get, names))  # type: ignore[arg-type]
    return MagnaStep(trained, style, config, schema)
