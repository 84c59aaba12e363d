"""One step of training: what is swapped, who is updated, and what is reported."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.training.optimizer import MasterAdam
from gan.config import GanConfig
from gan.data.loader import Batch
from gan.networks.magna_generator import Noise
from gan.networks.registry import build_networks
from gan.training.magna_step import MagnaStep
from tests.builders.gan import SCHEMA, tiny

COUNT = 4


def step_of(config: GanConfig) -> MagnaStep:
    """The step of a configuration, with untrained networks."""
    torch.manual_seed(0)
    networks = build_networks(config.network, SCHEMA)
    optimizers = {name: MasterAdam(network, 1e-3) for name, network in networks.items()}
    return MagnaStep.build(networks, optimizers, config, SCHEMA, None)


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(COUNT, 1, 32, 32)
    for index in range(COUNT):
        masks[index, :, 4 + 5 * index : 8 + 5 * index, 6:26] = 1
    images = torch.rand(COUNT, 3, 32, 32, generator=generator) * 2 - 1
    rows = [{"thickness": 0.5, "brightness": 0.5, "background": "ab"[i % 2]} for i in range(COUNT)]
    guides = torch.stack([torch.from_numpy(SCHEMA.encode(row)) for row in rows])
    return Batch(images, masks, masks.clone(), guides)


def noise(step: MagnaStep, extra: int) -> Noise:
    generator: Any = step.networks["generator"]
    sampled: Noise = generator.sample_noise([torch.Generator().manual_seed(i) for i in range(COUNT + extra)])
    return sampled


def weights(network: torch.nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in network.parameters()]


def test_every_player_is_updated_and_every_term_reported() -> None:
    config = tiny(loss={"swap": 5.0})
    step = step_of(config)
    before = [weights(n) for n in step.networks.values()]
    report = step(batch(), noise(step, 2), torch.zeros(2), 1e-3, 0)
    terms = {"kl", "adversarial", "reconstruction", "swap", "guide"}
    assert set(report) == {*terms, "discriminator", "total", "d_real", "d_fake"}
    weighed = sum(step.weights[name] * report[name] for name in terms)
    assert abs(weighed - report["total"]) < 1e-4 * abs(report["total"])
    for old, network in zip(before, step.networks.values(), strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(old, weights(network), strict=True))


def test_the_literal_recipe_has_its_three_terms_and_nothing_swapped() -> None:
    idle = {"kl": 0.0, "guide": 0.0, "swap": 0.0}
    config = tiny(network={"encoder": False, "modulation": False, "noise_injection": False}, loss=idle)
    step = step_of(config)
    report = step(batch(), noise(step, 0), torch.zeros(0), 1e-3, 0)
    assert set(report) == {"adversarial", "reconstruction", "discriminator", "total", "d_real", "d_fake"}


def test_the_generator_is_not_taught_to_please_by_changing_the_discriminator() -> None:
    """The discriminator moves by its own loss alone: the generator's leaves no gradient on it."""
    config = tiny()
    step = step_of(config)
    step(batch(), noise(step, 2), torch.zeros(2), 1e-3, 0)
    assert all(p.grad is None for p in step.networks["discriminator"].parameters())


def test_swapped_images_take_the_background_of_the_next_image_and_the_mask_and_thickness_of_their_own() -> None:
    config = tiny()
    step = step_of(config)
    known: dict[str, Tensor] = {}
    generator = step.networks["generator"]
    original = generator.forward

    def watched(masks: Tensor, noise: Noise, guides: Tensor, *, encoded: bool = False) -> Tensor:
        known.update(masks=masks, latent=noise.latent, guides=guides, encoded=torch.tensor(encoded))
        return original(masks, noise, guides, encoded=encoded)

    generator.forward = watched  # type: ignore[method-assign]
    sampled = noise(step, 2)
    given = batch()
    shifts = torch.tensor([0.4, -5.0])
    step(given, sampled, shifts, 1e-3, 0)
    assert bool(known["encoded"])
    assert torch.equal(known["masks"], torch.cat([given.conditions, given.conditions[:2]]))
    assert torch.equal(known["guides"][:COUNT], given.guides)
    swapped, first, end = known["guides"][COUNT:], *SCHEMA.columns("background")
    assert torch.equal(swapped[:, first:end], given.guides[1:3, first:end])
    assert torch.equal(swapped[:, 0], given.guides[:2, 0])
    assert swapped[:, 1].tolist() == [0.4000000059604645, -1.0]


def test_a_loss_that_is_no_number_updates_neither_player() -> None:
    config = tiny()
    step = step_of(config)
    given = batch()
    given.images[0, 0, 0, 0] = float("nan")
    before = [weights(n) for n in step.networks.values()]
    report = step(given, noise(step, 2), torch.zeros(2), 1e-3, 0)
    assert report["total"] != report["total"]
    after = [weights(n) for n in step.networks.values()]
    assert all(torch.equal(a, b) for old, new in zip(before, after, strict=True) for a, b in zip(old, new, strict=True))
