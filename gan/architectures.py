"""The networks of every architecture, by name, and the step that trains them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from defects.guides import GuideSchema
from gan.baseline_steps import CycleStep, Pix2PixStep
from gan.blend.critic import BlendCritic
from gan.blend.generator import BlendGenerator
from gan.config import GanConfig, NetworkConfig
from gan.cyclegan import CycleGenerator, CycleJudges
from gan.discriminator import MagnaDiscriminator
from gan.generator import MagnaGenerator, Noise
from gan.optimiser import MasterAdam
from gan.pix2pix import DeepPatchDiscriminator, Pix2PixGenerator
from gan.posterior import Posterior
from gan.step import Batch, MagnaStep, Players
from gan.style import StyleLoss

__all__ = ["AVERAGED", "Generator", "Step", "build_blender", "build_generator", "build_networks", "build_step"]

Generator = MagnaGenerator | Pix2PixGenerator | CycleGenerator
"""Draws whole images from masks."""
AVERAGED = ("generator", "posterior")
"""Networks of whose weights a running average is kept."""


class Step(Protocol):
    """One update of all networks; see `gan.step.MagnaStep`."""

    def __call__(self, batch: Batch, noise: Noise, shifts: Tensor, rate: float, index: int) -> dict[str, float]: ...


def build_generator(config: NetworkConfig, schema: GuideSchema) -> Generator:
    """An untrained generator of whole images."""
    if config.architecture == "pix2pix":
        return Pix2PixGenerator(config, schema.size)
    if config.architecture == "cyclegan":
        return CycleGenerator(config, schema.size)
    return MagnaGenerator(config, schema.size, schema.columns("background"))


def build_blender(config: NetworkConfig, schema: GuideSchema) -> BlendGenerator:
    """An untrained generator that draws into photographs."""
    return BlendGenerator(config, schema.size, schema.columns("kind"))


def build_networks(config: NetworkConfig, schema: GuideSchema) -> dict[str, nn.Module]:
    """All untrained networks of an architecture: `generator`, `discriminator` and what else it has."""
    if config.architecture == "blend":
        return {
            "generator": build_blender(config, schema),
            "discriminator": BlendCritic(config, schema.size),
            "posterior": Posterior(config, 1),
        }
    networks: dict[str, nn.Module] = {"generator": build_generator(config, schema)}
    if config.architecture == "pix2pix":
        networks["discriminator"] = DeepPatchDiscriminator(config.channels + 1, config.critic_width)
    elif config.architecture == "cyclegan":
        networks["discriminator"] = CycleJudges(config)
        networks["back"] = CycleGenerator(config, schema.size, back=True)
    else:
        networks["discriminator"] = MagnaDiscriminator(config, schema.size)
        if config.posterior:
            networks["posterior"] = Posterior(config)
    return networks


def build_step(
    config: GanConfig,
    schema: GuideSchema,
    networks: Mapping[str, nn.Module],
    adams: Mapping[str, MasterAdam],
    style: StyleLoss | None,
) -> Step:
    """The step that trains the networks of `build_networks`."""
    if config.network.architecture == "pix2pix":
        return Pix2PixStep(networks, adams, config)
    if config.network.architecture == "cyclegan":
        return CycleStep(networks, adams, config)
    names = ("generator", "discriminator", "posterior")
    players = Players(*map(networks.get, names), *map(adams.get, names))  # type: ignore[arg-type]
    return MagnaStep(players, style, config, schema)
