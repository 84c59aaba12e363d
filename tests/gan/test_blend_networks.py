"""Magna-Blend's networks: what is generated stays on the mask, whatever the weights are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from defects.attributes.appearance import brightness_tensor
from defects.masks.width import signed_distance
from engine.config import load_config
from engine.training.optimizer import MasterAdam
from gan.config import BlendNetwork, GanConfig
from gan.data.diff_augment import NEUTRAL, NUMBERS, augment_alike
from gan.losses.blend import gradient_energy_loss, pyramid_loss
from gan.networks.blend_discriminator import BlendDiscriminator, nearness
from gan.networks.blend_generator import BlendGenerator, alpha_of, blend
from gan.networks.magna_generator import Noise
from gan.networks.registry import build_networks
from gan.training.blend_step import BlendStep, Pairs
from tests.builders.gan import SCHEMA, tiny

CONFIG = BlendNetwork(size=32, channels=3, width=4, max_width=8, discriminator_width=4, latent=6)


def masks(count: int, height: int = 32, width: int = 32, seed: int = 0) -> np.ndarray:
    """(N, H, W) rectangles."""
    rng = np.random.default_rng(seed)
    result = np.zeros((count, height, width), bool)
    for mask in result:
        y, x = rng.integers(6, 14, 2)
        mask[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] = True
    return result


def distances(of: np.ndarray) -> Tensor:
    return torch.from_numpy(np.stack([signed_distance(mask) for mask in of])[:, None])


def pairs(count: int = 4, channels: int = 3) -> Pairs:
    rng = torch.Generator().manual_seed(1)
    images, backgrounds, others = (torch.rand(count, channels, 32, 32, generator=rng) * 2 - 1 for _ in range(3))
    guides = torch.rand(count, SCHEMA.size, generator=rng)
    return Pairs(images, backgrounds, others, distances(masks(count)), guides, torch.ones(count))


@given(st.integers(0, 2**31), st.floats(-1e4, 1e4), st.integers(2, 16))
@settings(max_examples=40, deadline=None)
def test_alpha_is_at_least_half_on_the_mask_and_nowhere_else_and_0_from_the_blend_radius_on(
    seed: int, size: float, blend_radius: int
) -> None:
    mask = masks(1, seed=seed)
    far = distances(mask)
    soft = torch.randn(far.shape, generator=torch.Generator().manual_seed(seed)) * size
    alpha = alpha_of(far, soft, float(blend_radius))
    assert np.array_equal((alpha >= 0.5)[0, 0].numpy(), mask[0])
    assert bool((alpha[far <= -blend_radius] == 0).all())
    assert float(alpha.max()) <= 1


def test_where_alpha_is_0_the_background_is_untouched_and_a_saturated_pixel_can_come_back() -> None:
    background = torch.rand(1, 1, 4, 4) * 2 - 1
    change = torch.full((1, 1, 4, 4), 2.0, requires_grad=True)
    alpha = torch.zeros(1, 1, 4, 4)
    alpha[..., :2] = 0.9
    image = blend(background, change, alpha)
    assert torch.equal(image[..., 2:], background[..., 2:])
    assert float(image.detach().max()) <= 1.0001
    image.sum().backward()  # type: ignore[no-untyped-call]
    assert change.grad is not None
    assert bool((change.grad[..., :2] > 0).all())


def test_a_crop_may_have_any_sides_that_the_stride_divides() -> None:
    network = BlendGenerator(CONFIG, 3).eval()
    mask = masks(1, 32, 32 + 5 * network.stride)
    background = torch.zeros(1, 3, *mask.shape[1:])
    noise = network.draw_noise(1, torch.Generator().manual_seed(0), *mask.shape[1:])
    sampled = network(background, distances(mask), noise, torch.zeros(1, 3))
    assert sampled.images.shape == background.shape
    assert sampled.alpha.shape == (1, 1, *mask.shape[1:])


def test_noise_of_the_directional_noise_is_equal_down_columns_and_along_rows_and_makes_stripes() -> None:
    network = BlendGenerator(CONFIG.model_copy(update={"directional_noise": True}), 3).eval()
    noise = network.draw_noise(2, torch.Generator().manual_seed(0), 32, 48)
    for texture, (height, width) in zip(noise.texture, network.texture_sides(32, 48), strict=True):
        assert texture.shape == (2, 3, height, width)
        assert torch.equal(texture[:, 1], texture[:, 1, :1].expand(2, height, width))
        assert torch.equal(texture[:, 2], texture[:, 2, :, :1].expand(2, height, width))
        assert texture.std() > 0.5
    for stage in network.stages:
        stage.strength.data.zero_()  # type: ignore[union-attr, operator]
        stage.get_parameter("lay").data[1].zero_()
    change, _ = network.decode(torch.zeros(1, 3, 96, 96), torch.full((1, 1, 96, 96), 16.0), *_still(network, 96))
    middle = change[..., 40:56, 40:56].detach()
    assert float(middle.std(dim=-1).mean()) > 20 * float(middle.std(dim=-2).mean())


def _still(network: BlendGenerator, side: int) -> tuple[Noise, Tensor]:
    return network.draw_noise(1, torch.Generator().manual_seed(0), side, side), torch.zeros(1, 3)


def test_the_texture_term_sees_missing_and_turned_stripes_but_not_where_they_lie() -> None:
    rng = torch.Generator().manual_seed(0)
    stripes, others = (0.2 * torch.randn(1, 1, 1, 64, generator=rng).expand(1, 1, 64, 64) for _ in range(2))
    region = torch.ones(1, 1, 64, 64)
    elsewhere = float(gradient_energy_loss(others, stripes, region))
    assert float(gradient_energy_loss(stripes, stripes, region)) == 0
    assert elsewhere < 0.5
    assert float(gradient_energy_loss(torch.zeros_like(stripes), stripes, region)) > 4 * elsewhere
    assert float(gradient_energy_loss(stripes.transpose(2, 3), stripes, region)) > 8 * elsewhere
    region[..., 32:] = 0
    half = stripes.clone()
    half[..., 40:] = 0
    assert float(gradient_energy_loss(half, stripes, region)) < 0.01


@pytest.mark.parametrize("channels", [1, 3])
def test_every_parameter_gets_a_gradient_and_none_is_nan(channels: int) -> None:
    config = tiny(
        network={
            "architecture": "blend",
            "channels": channels,
            "spectral": True,
            "crop": 32,
            "directional_noise": channels == 1,
        },
        loss={"features": 1.0, "kl": 0.01, "guide": 1.0, "gradient_energy": 0.5},
    )
    torch.manual_seed(0)
    networks = build_networks(config.network, SCHEMA)
    optimizers = {name: MasterAdam(network, 1e-3, ema=None) for name, network in networks.items()}
    known: dict[str, Tensor] = {}
    for name, adam in optimizers.items():

        def watch(rate: float, adam: MasterAdam = adam, name: str = name) -> None:
            del rate
            for parameter_name, parameter in adam.named:
                assert parameter.grad is not None, f"{name}.{parameter_name}"
                known[f"{name}.{parameter_name}"] = parameter.grad.detach().abs().sum()
                parameter.grad = None

        adam.step = watch  # type: ignore[method-assign]
    step = BlendStep.build(networks, optimizers, config, SCHEMA)
    generator = torch.Generator().manual_seed(0)
    noise = networks["generator"].draw_noise(6, generator)  # type: ignore[operator]
    draws = torch.rand(4, NUMBERS, generator=generator)
    report = step(pairs(4, channels), noise, torch.tensor([0.5, -0.5]), draws, 1e-3)
    assert all(np.isfinite(value) for value in report.values())
    assert all(bool(torch.isfinite(value)) for value in known.values())
    # While every patch is within both margins, real and fake pull the last bias alike, in opposite directions.
    assert [name for name, value in known.items() if float(value) == 0 and not name.endswith("last.bias")] == []


def test_a_patch_counts_near_the_defect_and_a_speck_counts_like_a_stain() -> None:
    near = torch.zeros(2, 1, 32, 32)
    near[0, :, 10:12, 10:12] = 1
    near[1, :, 2:30, 2:30] = 1
    weights = nearness(near, (8, 8))
    assert torch.allclose(weights.sum((1, 2, 3)), torch.ones(2))
    assert float(weights[0, 0, 2, 2]) > 10 * float(weights[0, 0, 7, 7])


def test_differentiable_augmentation_moves_image_and_mask_alike() -> None:
    mask = torch.zeros(2, 1, 32, 32)
    mask[:, :, 12:18, 14:20] = 1
    image = mask.repeat(1, 3, 1, 1)
    draws = torch.rand(2, NUMBERS, generator=torch.Generator().manual_seed(0))
    draws[:, :2], draws[:, 6] = 0.5, 1.0  # neither brightness nor contrast, no hole
    moved, moved_mask = augment_alike(image, mask, draws)
    assert torch.allclose(moved, moved_mask.expand_as(moved))
    assert not torch.equal(moved_mask, mask)


def test_still_numbers_leave_what_is_scored_as_it_is() -> None:
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    same, mask = augment_alike(image, image[:, :1], torch.full((2, NUMBERS), NEUTRAL))
    assert torch.allclose(same, image, atol=1e-6)
    assert torch.allclose(mask, image[:, :1])


def test_brightness_is_that_of_the_mask_less_that_of_its_ring() -> None:
    mask = masks(1)
    images = torch.full((1, 1, 32, 32), -0.5)
    images[0, 0][torch.from_numpy(mask[0])] = 0.5
    assert float(brightness_tensor((images + 1) / 2, distances(mask) > 0, 4)) == pytest.approx(0.5, abs=1e-5)


def test_the_pyramid_sees_no_grain_at_its_coarse_levels() -> None:
    """The same error is dearer as a shift of the level than as a checkerboard."""
    zeros, region = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1
    assert float(pyramid_loss(board[None, None], zeros, region)) < 0.3 * float(pyramid_loss(zeros + 1, zeros, region))


def test_the_discriminator_reads_guide_and_mask() -> None:
    torch.manual_seed(0)
    discriminator = BlendDiscriminator(CONFIG, 3)
    images, mask = torch.zeros(1, 3, 32, 32), torch.from_numpy(masks(1))[:, None].float()
    plain = discriminator(images, mask, torch.zeros(1, 3))[0].logits
    assert not torch.allclose(plain, discriminator(images, mask, torch.ones(1, 3))[0].logits)
    assert not torch.allclose(plain, discriminator(images, 1 - mask, torch.zeros(1, 3))[0].logits)


@pytest.mark.parametrize("name", ["blend_tile", "blend_bsdata"])
def test_the_packaged_configurations_build(name: str) -> None:
    config = load_config(name, GanConfig, [], folder="gan")
    networks = build_networks(config.network, SCHEMA)
    assert set(networks) == {"generator", "discriminator", "posterior"}
    assert sum(p.numel() for p in networks["generator"].parameters()) < 2_000_000
