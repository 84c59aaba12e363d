"""The architectures by name: how the networks of each are built. A new one is one entry here and one in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from defects.attributes.guide import GuideSchema
from gan.config import BlendNetwork, CycleGanNetwork, MagnaNetwork, NetworkConfig, Pix2PixNetwork
from gan.networks.blend_discriminator import BlendDiscriminator
from gan.networks.blend_generator import BlendGenerator
from gan.networks.cyclegan import CycleDiscriminators, CycleGenerator
from gan.networks.discriminator import MagnaDiscriminator
from gan.networks.encoder import Encoder
from gan.networks.magna_generator import LatentPlacement, MagnaGenerator, Noise
from gan.networks.pix2pix import DeepPatchDiscriminator, Pix2PixGenerator

AVERAGED = ("generator", "posterior")
"""Networks of whose weights a running average is saved."""


class Generator(Protocol):
    """What every generator offers besides its own `forward`; each is a `torch.nn.Module`.

    Whole-image generators are called with masks (N, 1, S, S), noise and guides (N, G); blend with backgrounds
    (N, C, H, W), signed distances (N, 1, H, W), noise and guides.
    """

    guide_size: int

    @property
    def latent(self) -> LatentPlacement | None:
        """Places standard noise where the encoder puts real images; None without an encoder."""
        ...

    def draw_noise(self, count: int, generator: torch.Generator) -> Noise:
        """Noise of a training step, all from one generator."""
        ...

    def __call__(self, *inputs: Any, **options: Any) -> Any: ...

    def eval(self) -> Self: ...

    def float(self) -> Self: ...

    def requires_grad_(self, requires_grad: bool = True) -> Self: ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]: ...

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


class WholeImageGenerator(Generator, Protocol):
    """A generator of whole images, whose noise can be sampled image by image."""

    def sample_noise(self, generators: Sequence[torch.Generator]) -> Noise:
        """Noise for len(generators) images; image i uses its own generator only, so batches do not matter."""
        ...


@dataclass(frozen=True)
class Architecture:
    """How the networks of an architecture are built from its configuration and the guide schema.

    Attributes:
        generator: Builds the generator alone.
        networks: Builds the others, by name, in the order in which they are initialized.
        blends: Whether it blends defects into backgrounds, instead of generating whole images.
    """

    generator: Callable[[Any, GuideSchema], Generator]
    networks: Callable[[Any, GuideSchema], dict[str, nn.Module]]
    blends: bool = False


def _magna(config: MagnaNetwork, schema: GuideSchema) -> dict[str, nn.Module]:
    networks: dict[str, nn.Module] = {"discriminator": MagnaDiscriminator(config, schema.size)}
    return networks | ({"posterior": Encoder(config)} if config.encoder else {})


def _blend(config: BlendNetwork, schema: GuideSchema) -> dict[str, nn.Module]:
    return {"discriminator": BlendDiscriminator(config, schema.size), "posterior": Encoder(config, 1)}


def _pix2pix(config: Pix2PixNetwork, schema: GuideSchema) -> dict[str, nn.Module]:  # noqa: ARG001
    return {"discriminator": DeepPatchDiscriminator(config.channels + 1, config.discriminator_width)}


def _cyclegan(config: CycleGanNetwork, schema: GuideSchema) -> dict[str, nn.Module]:
    return {"discriminator": CycleDiscriminators(config), "back": CycleGenerator(config, schema.size, back=True)}


ARCHITECTURES = {
    "magna": Architecture(MagnaGenerator.from_schema, _magna),
    "blend": Architecture(BlendGenerator.from_schema, _blend, blends=True),
    "pix2pix": Architecture(lambda config, schema: Pix2PixGenerator(config, schema.size), _pix2pix),
    "cyclegan": Architecture(lambda config, schema: CycleGenerator(config, schema.size), _cyclegan),
}


def build_networks(config: NetworkConfig, schema: GuideSchema) -> dict[str, nn.Module]:
    """All untrained networks of an architecture: `generator`, `discriminator` and its others."""
    architecture = ARCHITECTURES[config.architecture]
    generator: Any = architecture.generator(config, schema)
    return {"generator": generator, **architecture.networks(config, schema)}
