"""The networks of every shipped configuration: shapes, gradients, noise and starting weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.config import config_names, load_config
from gan.config import GanConfig, MagnaNetwork
from gan.networks.discriminator import MagnaDiscriminator
from gan.networks.encoder import Encoder, kl_to_normal, reparameterize
from gan.networks.magna_generator import MagnaGenerator

GUIDES = 5
SHIPPED = [n for n in config_names("gan") if load_config(n, GanConfig, []).network.architecture == "magna"]
TINY = MagnaNetwork(size=32, width=8, max_width=16, discriminator_width=8)


def shipped(name: str, channels: int) -> MagnaNetwork:
    """The network of a packaged configuration at 32 px."""
    return load_config(name, GanConfig, []).network.model_copy(update={"size": 32, "channels": channels})


def inputs(network: MagnaGenerator, count: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Masks with a bar each, and guides."""
    size = network.config.size
    masks = torch.zeros(count, 1, size, size)
    masks[:, :, size // 4 : size // 2, size // 4 : -size // 4] = 1
    return masks, torch.randn(count, network.guide_size, generator=torch.Generator().manual_seed(seed))


def generators(count: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + i) for i in range(count)]


def without_gradient(network: nn.Module) -> list[str]:
    """Parameters whose gradient is missing, not finite or zero everywhere."""
    return [
        name
        for name, p in network.named_parameters()
        if p.grad is None or not bool(torch.isfinite(p.grad).all()) or not bool(p.grad.any())
    ]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SHIPPED)
def test_images_have_the_shape_and_the_range_and_every_parameter_learns(name: str, channels: int) -> None:
    torch.manual_seed(0)
    config = shipped(name, channels)
    network, discriminator = MagnaGenerator(config, GUIDES), MagnaDiscriminator(config, GUIDES)
    masks, guides = inputs(network)
    images = network(masks, network.sample_noise(generators(2)), guides)
    assert images.shape == (2, channels, 32, 32)
    assert float(images.detach().abs().max()) <= 1.0
    logits = discriminator(images, masks, guides)
    assert len(logits) == config.discriminator_scales
    assert all(scale.shape[:2] == (2, 1) for scale in logits)
    (torch.stack([scale.pow(2).mean() for scale in logits]).sum() + images.pow(2).mean()).backward()
    assert without_gradient(network) == []
    assert without_gradient(discriminator) == []


@pytest.mark.parametrize("name", SHIPPED)
def test_the_encoder_gives_a_mean_and_a_bounded_variance_and_learns(name: str) -> None:
    torch.manual_seed(0)
    config = shipped(name, 3)
    encoder = Encoder(config)
    mean, log_variance = encoder(torch.rand(2, 3, 32, 32) * 2 - 1)
    assert mean.shape == log_variance.shape == (2, config.latent)
    assert bool(((log_variance >= -8) & (log_variance <= 4)).all())
    reparameterize(mean, log_variance, torch.randn(2, config.latent)).pow(2).sum().backward()
    assert without_gradient(encoder) == []


def test_the_kl_term_is_zero_for_the_standard_normal_and_known_elsewhere() -> None:
    zero = torch.zeros(3, 4)
    assert float(kl_to_normal(zero, zero)) == 0.0
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, -1.0]])
    reference = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * log_variance).exp()), torch.distributions.Normal(0.0, 1.0)
    )
    assert float(kl_to_normal(mean, log_variance)) == pytest.approx(float(reference.sum()), rel=1e-6)


@pytest.mark.parametrize("size", [128, 256, 512])
@pytest.mark.parametrize("name", SHIPPED)
def test_every_size_has_seven_halvings_an_embedding_of_32_and_noise_of_132(name: str, size: int) -> None:
    with torch.device("meta"):
        config = load_config(name, GanConfig, []).network.model_copy(update={"size": size})
        network = MagnaGenerator(config, GUIDES)
    halvings = [m for m in network.mask_projection.modules() if isinstance(m, nn.Conv2d)]
    assert [layer.stride for layer in halvings] == [(2, 2)] * 7
    assert network.mask_projection.embed.out_features == 32
    assert config.latent == 132
    assert network.start.in_features == 32 + 132 + GUIDES
    sides = network.texture_sides()
    grown = [network.base * 2**k for k in range(len(network.stages))]
    assert sides == (grown if config.noise_injection else [])
    assert grown[-1] == size


def test_a_full_size_image_comes_out_of_the_default_network() -> None:
    torch.manual_seed(0)
    network = MagnaGenerator(load_config("magna", GanConfig, []).network, GUIDES).eval()
    masks, guides = inputs(network, 1)
    with torch.no_grad():
        images = network(masks, network.sample_noise(generators(1)), guides)
    assert images.shape == (1, 3, 128, 128)
    assert bool(torch.isfinite(images).all())


@pytest.mark.parametrize("name", SHIPPED)
def test_mask_noise_and_guide_each_change_the_image(name: str) -> None:
    torch.manual_seed(0)
    network = MagnaGenerator(shipped(name, 3), GUIDES)
    nn.init.normal_(network.to_image.weight, 0.0, 0.1)
    masks, guides = inputs(network, 1)
    noise, other = network.sample_noise(generators(1, 1)), network.sample_noise(generators(1, 2))
    network.eval()
    with torch.no_grad():
        image = network(masks, noise, guides)
        changed = {
            "mask": network(1 - masks, noise, guides),
            "latent": network(masks, noise._replace(latent=other.latent), guides),
            "guide": network(masks, noise, -guides),
        }
        if network.config.noise_injection:
            changed["texture"] = network(masks, noise._replace(texture=other.texture), guides)
    assert [what for what, images in changed.items() if torch.equal(images, image)] == []


def test_noise_of_an_image_is_the_same_in_any_batch() -> None:
    network = MagnaGenerator(TINY, GUIDES)
    together = network.sample_noise(generators(3))
    for index in range(3):
        alone = network.sample_noise(generators(1, seed=index))
        assert torch.equal(together.latent[index], alone.latent[0])
        assert all(torch.equal(a[index], b[0]) for a, b in zip(together.texture, alone.texture, strict=True))
    assert together.latent.shape == (3, 132)
    assert [t.shape[-1] for t in together.texture] == network.texture_sides() == [8, 16, 32]


def test_an_image_does_not_depend_on_the_others_in_its_batch_in_the_default_network() -> None:
    torch.manual_seed(0)
    network = MagnaGenerator(TINY, GUIDES)
    masks, guides = inputs(network, 3)
    noise = network.sample_noise(generators(3))
    alone = noise._replace(latent=noise.latent[:1], texture=tuple(t[:1] for t in noise.texture))
    with torch.no_grad():
        together, single = network(masks, noise, guides), network(masks[:1], alone, guides[:1])
    assert torch.allclose(together[:1], single, atol=1e-5)


def test_the_literal_recipe_starts_from_weights_of_standard_deviation_a_hundredth() -> None:
    torch.manual_seed(0)
    config = load_config("magna_paper", GanConfig, []).network
    for network in (MagnaGenerator(config, GUIDES), MagnaDiscriminator(config, GUIDES)):
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        weights = torch.cat([layer.weight.detach().flatten() for layer in layers])
        assert float(weights.std()) == pytest.approx(0.01, rel=0.01)
        assert abs(float(weights.mean())) < 1e-4
        assert all(not bool(layer.bias.any()) for layer in layers if layer.bias is not None)


def test_the_same_seed_builds_the_same_network() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(MagnaGenerator(TINY, GUIDES).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
