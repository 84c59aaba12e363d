"""The networks of every architecture, by name."""

from __future__ import annotations

from torch import nn

from defects.attributes.guide import GuideSchema
from gan.config import NetworkConfig
from gan.networks.blend_discriminator import BlendCritic
from gan.networks.blend_generator import BlendGenerator
from gan.networks.cyclegan import CycleGenerator, CycleJudges
from gan.networks.discriminator import MagnaDiscriminator
from gan.networks.encoder import Posterior
from gan.networks.magna_generator import MagnaGenerator
from gan.networks.pix2pix import DeepPatchDiscriminator, Pix2PixGenerator

Generator = MagnaGenerator | Pix2PixGenerator | CycleGenerator
"""Draws whole images from masks."""
AVERAGED = ("generator", "posterior")
"""Networks of whose weights a running average is kept."""


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
