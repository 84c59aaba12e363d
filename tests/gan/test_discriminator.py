"""What one logit of the discriminator sees."""

from __future__ import annotations

import pytest
import torch

from gan.config import MagnaNetwork
from gan.networks.discriminator import LAYERS, MagnaDiscriminator
from tests.builders.gan import receptive_field

GUIDES = 3


def discriminator(**changes: object) -> MagnaDiscriminator:
    torch.manual_seed(0)
    config = MagnaNetwork.model_validate({"size": 64, "discriminator_width": 8, "discriminator_scales": 1, **changes})
    return MagnaDiscriminator(config, GUIDES).eval()


def test_the_receptive_field_is_sixteen_by_the_layers() -> None:
    assert receptive_field(LAYERS) == 16
    assert receptive_field(((4, 2), (4, 2), (4, 2), (4, 1), (4, 1))) == 70


@pytest.mark.parametrize("normalization", ["batch", "pixel"])
@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_exactly_sixteen_by_sixteen_pixels_move_a_logit(normalization: str, spectral: bool, channels: int) -> None:
    network = discriminator(normalization=normalization, spectral=spectral, channels=channels)
    images = (torch.rand(1, channels, 64, 64) * 2 - 1).requires_grad_()
    masks = torch.rand(1, 1, 64, 64).requires_grad_()
    (logits,) = network(images, masks, torch.rand(1, GUIDES))
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    for gradient in (images.grad, masks.grad):
        assert gradient is not None
        known = gradient[0].abs().amax(0) > 0
        rows, columns = torch.nonzero(known.any(1)).flatten(), torch.nonzero(known.any(0)).flatten()
        assert (len(rows), int(rows[-1] - rows[0])) == (receptive_field(LAYERS), 15)
        assert (len(columns), int(columns[-1] - columns[0])) == (receptive_field(LAYERS), 15)
        assert int(known.sum()) == 256


def test_a_pixel_outside_the_patch_changes_nothing_and_one_inside_does() -> None:
    network = discriminator()
    images, masks, guides = torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64), torch.zeros(1, GUIDES)
    with torch.no_grad():
        before = network(images, masks, guides)[0]
        images[0, :, 32, 32] = 1.0
        moved = torch.nonzero(network(images, masks, guides)[0][0, 0] != before[0, 0])
    stride = LAYERS[0][1]
    assert len(moved) == (receptive_field(LAYERS) // stride) ** 2


def test_each_further_scale_sees_a_halved_copy() -> None:
    network = discriminator(discriminator_scales=3)
    logits = network(torch.zeros(2, 3, 64, 64), torch.zeros(2, 1, 64, 64), torch.zeros(2, GUIDES))
    assert [scale.shape for scale in logits] == [(2, 1, 30, 30), (2, 1, 14, 14), (2, 1, 6, 6)]


def test_mask_and_guide_are_part_of_the_judgement() -> None:
    network = discriminator()
    images, masks, guides = torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64), torch.zeros(1, GUIDES)
    with torch.no_grad():
        logits = network(images, masks, guides)[0]
        assert not torch.equal(network(images, masks + 1, guides)[0], logits)
        assert not torch.equal(network(images, masks, guides + 1)[0], logits)
