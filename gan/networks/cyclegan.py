"""CycleGAN, a baseline: one generator from masks to images, one back, and a discriminator of each.

Zhu et al., Unpaired image-to-image translation using cycle-consistent adversarial networks, ICCV 2017, section 7.1:
ResNet generators with 6 blocks up to 128 px and 9 beyond, instance normalization, reflected borders, 70 x 70 patches,
and a history of 50 generated images for each discriminator. It has neither noise nor guide: one mask gives one image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.config import CycleGanNetwork
from gan.networks.magna_generator import Noise
from gan.networks.pix2pix import DeepPatchDiscriminator, initialize_weights


class _Block(nn.Module):
    """A residual block of two 3 x 3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, channels, 3), nn.Conv2d(channels, channels, 3)

    def forward(self, features: Tensor) -> Tensor:
        inner = F.relu(F.instance_norm(self.first(_bordered(features, 1))))
        return features + F.instance_norm(self.second(_bordered(inner, 1)))


class CycleGenerator(nn.Module):
    """Images of one domain (N, A, S, S) to images of the other (N, B, S, S) in [-1, 1].

    Args:
        config: `width` channels after the first convolution (paper: 64).
        guide_size: length of guide vectors, which are ignored.
        back: whether it goes from image to mask.
    """

    latent = None

    def __init__(self, config: CycleGanNetwork, guide_size: int, *, back: bool = False) -> None:
        super().__init__()
        self.config, self.guide_size = config, guide_size
        width = config.width
        ends = (config.channels, 1) if back else (1, config.channels)
        self.enter = nn.Conv2d(ends[0], width, 7)
        self.down = nn.ModuleList(nn.Conv2d(width * k, 2 * width * k, 3, 2, 1) for k in (1, 2))
        self.blocks = nn.Sequential(*(_Block(4 * width) for _ in range(6 if config.size <= 128 else 9)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width * k, width * k, 3, 2, 1, output_padding=1) for k in (2, 1))
        self.leave = nn.Conv2d(width, ends[1], 7)
        initialize_weights(self)

    def forward(
        self,
        masks: Tensor,
        noise: Noise | None = None,  # noqa: ARG002
        guides: Tensor | None = None,  # noqa: ARG002
        *,
        encoded: bool = False,  # noqa: ARG002
    ) -> Tensor:
        """Images of the other domain from those of one in [0, 1], masks as a rule; noise and guides are ignored."""
        images = masks * 2 - 1
        features = F.relu(F.instance_norm(self.enter(_bordered(images, 3))))
        for layer in self.down:
            features = F.relu(F.instance_norm(layer(features)))
        features = self.blocks(features)
        for layer in self.up:
            features = F.relu(F.instance_norm(layer(features)))
        return torch.tanh(self.leave(_bordered(features, 3)))

    def sample_noise(self, generators: Sequence[torch.Generator]) -> Noise:
        """No noise, for len(generators) images."""
        return Noise(torch.zeros(len(generators), 0), ())

    def draw_noise(self, count: int, generator: torch.Generator) -> Noise:  # noqa: ARG002
        """No noise, for `count` images."""
        return Noise(torch.zeros(count, 0), ())


class History(nn.Module):
    """Images generated in earlier steps: in half of the cases a discriminator sees one of them.

    Shrivastava et al., Learning from simulated and unsupervised images through adversarial training, 2017, section 2.3.

    Args:
        shape: of an image, (C, S, S).
        length: images stored (paper: 50).
    """

    filled: Tensor

    def __init__(self, shape: tuple[int, int, int], length: int = 50) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(length, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchange(self, fresh: Tensor, draws: Tensor) -> Tensor:
        """Images for the discriminator: each of `fresh` (N, C, S, S), or an older one whose place it takes.

        Args:
            fresh: just generated.
            draws: (N, 2) uniform in 0..1: whether to exchange, and with which.
        """
        result = fresh.clone()
        stored = self.get_buffer("kept")
        for index, (whether, which) in enumerate(draws.tolist()):
            if int(self.filled) < len(stored):
                stored[int(self.filled)] = fresh[index]
                self.filled += 1
            elif whether < 0.5:
                place = int(which * len(stored))
                result[index] = stored[place]
                stored[place] = fresh[index]
        return result


class CycleDiscriminators(nn.Module):
    """The discriminators of images and of masks, with their histories."""

    def __init__(self, config: CycleGanNetwork) -> None:
        super().__init__()
        self.images = DeepPatchDiscriminator(config.channels, config.discriminator_width)
        self.masks = DeepPatchDiscriminator(1, config.discriminator_width)
        self.old_images = History((config.channels, config.size, config.size))
        self.old_masks = History((1, config.size, config.size))

    def forward(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of images (N, C, S, S) and of masks (N, 1, S, S), both in [-1, 1]."""
        return self.images(images), self.masks(masks)


def _bordered(features: Tensor, by: int) -> Tensor:
    return F.pad(features, (by, by, by, by), mode="reflect")
