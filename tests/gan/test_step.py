"""One step of training: what is swapped, who is updated, and what is reported."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from engine.training.optimizer import MasterAdam
from gan.config import GanConfig
from gan.data.loader import Batch
from gan.networks.discriminator import MagnaDiscriminator
from gan.networks.encoder import Posterior
from gan.networks.magna_generator import MagnaGenerator, Noise
from gan.training.magna_step import MagnaStep, Networks
from tests.gan.building import tiny

SCHEMA = GuideSchema(
    (
        NumericEntry("thickness", 2, 8, "px"),
        NumericEntry("brightness", -0.5, 0.5),
        CategoricalEntry("background", ("a", "b")),
    )
)
COUNT = 4


def networks(config: GanConfig) -> Networks:
    torch.manual_seed(0)
    generator = MagnaGenerator(config.network, SCHEMA.size, SCHEMA.columns("background"))
    discriminator = MagnaDiscriminator(config.network, SCHEMA.size)
    posterior = Posterior(config.network) if config.network.posterior else None
    optimizers = [MasterAdam(n, 1e-3) if n is not None else None for n in (generator, discriminator, posterior)]
    return Networks(generator, discriminator, posterior, *optimizers)  # type: ignore[arg-type]


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(COUNT, 1, 32, 32)
    for index in range(COUNT):
        masks[index, :, 4 + 5 * index : 8 + 5 * index, 6:26] = 1
    images = torch.rand(COUNT, 3, 32, 32, generator=generator) * 2 - 1
    rows = [{"thickness": 0.5, "brightness": 0.5, "background": "ab"[i % 2]} for i in range(COUNT)]
    guides = torch.stack([torch.from_numpy(SCHEMA.encode(row)) for row in rows])
    return Batch(images, masks, masks.clone(), guides)


def noise(network: Any, extra: int) -> Noise:
    drawn: Noise = network.sample_noise([torch.Generator().manual_seed(i) for i in range(COUNT + extra)])
    return drawn


def weights(network: torch.nn.Module | None) -> list[Tensor]:
    return [p.detach().clone() for p in network.parameters()] if network is not None else []


def test_every_player_is_updated_and_every_term_reported() -> None:
    config = tiny(loss={"swap": 5.0})
    group = networks(config)
    before = [weights(n) for n in (group.generator, group.discriminator, group.posterior)]
    report = MagnaStep(group, None, config, SCHEMA)(batch(), noise(group.generator, 2), torch.zeros(2), 1e-3, 0)
    terms = {"kl", "adversarial", "reconstruction", "swap", "guide"}
    assert set(report) == {*terms, "discriminator", "total", "d_real", "d_fake"}
    weighed = sum(getattr(config.loss, name) * report[name] for name in terms)
    assert abs(weighed - report["total"]) < 1e-4 * abs(report["total"])
    for old, network in zip(before, (group.generator, group.discriminator, group.posterior), strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(old, weights(network), strict=True))


def test_the_literal_recipe_has_its_three_terms_and_nothing_swapped() -> None:
    idle = {"kl": 0.0, "guide": 0.0, "swap": 0.0}
    config = tiny(network={"posterior": False, "modulation": False, "texture": False}, loss=idle)
    group = networks(config)
    report = MagnaStep(group, None, config, SCHEMA)(batch(), noise(group.generator, 0), torch.zeros(0), 1e-3, 0)
    assert set(report) == {"adversarial", "reconstruction", "discriminator", "total", "d_real", "d_fake"}


def test_the_generator_is_not_taught_to_please_by_changing_the_discriminator() -> None:
    """The discriminator moves by its own loss alone: the generator's leaves no gradient on it."""
    config = tiny()
    group = networks(config)
    MagnaStep(group, None, config, SCHEMA)(batch(), noise(group.generator, 2), torch.zeros(2), 1e-3, 0)
    assert all(p.grad is None for p in group.discriminator.parameters())


def test_swapped_images_take_the_ground_of_the_next_image_and_the_mask_and_thickness_of_their_own() -> None:
    config = tiny()
    group = networks(config)
    seen: dict[str, Tensor] = {}
    original = group.generator.forward

    def watched(masks: Tensor, noise: Noise, guides: Tensor, *, encoded: bool = False) -> Tensor:
        seen.update(masks=masks, latent=noise.latent, guides=guides, encoded=torch.tensor(encoded))
        return original(masks, noise, guides, encoded=encoded)

    group.generator.forward = watched  # type: ignore[method-assign]
    drawn = noise(group.generator, 2)
    given = batch()
    shifts = torch.tensor([0.4, -5.0])
    MagnaStep(group, None, config, SCHEMA)(given, drawn, shifts, 1e-3, 0)
    assert bool(seen["encoded"])
    assert torch.equal(seen["masks"], torch.cat([given.conditions, given.conditions[:2]]))
    assert torch.equal(seen["guides"][:COUNT], given.guides)
    swapped, first, end = seen["guides"][COUNT:], *SCHEMA.columns("background")
    assert torch.equal(swapped[:, first:end], given.guides[1:3, first:end])
    assert torch.equal(swapped[:, 0], given.guides[:2, 0])
    assert swapped[:, 1].tolist() == [0.4000000059604645, -1.0]


def test_a_loss_that_is_no_number_updates_neither_player() -> None:
    config = tiny()
    group = networks(config)
    given = batch()
    given.images[0, 0, 0, 0] = float("nan")
    before = [weights(n) for n in (group.generator, group.discriminator, group.posterior)]
    report = MagnaStep(group, None, config, SCHEMA)(given, noise(group.generator, 2), torch.zeros(2), 1e-3, 0)
    assert report["total"] != report["total"]
    after = [weights(n) for n in (group.generator, group.discriminator, group.posterior)]
    assert all(torch.equal(a, b) for old, new in zip(before, after, strict=True) for a, b in zip(old, new, strict=True))
