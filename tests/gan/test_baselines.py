"""The baselines are those of their papers, train, and generate the same image whatever else is in the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.config import load_config
from engine.seeding import torch_generator
from engine.training.optimizer import MasterAdam
from gan.config import CycleGanNetwork, GanConfig, Pix2PixNetwork
from gan.data.loader import Batch
from gan.networks.cyclegan import CycleDiscriminators, CycleGenerator, History
from gan.networks.pix2pix import LAYERS, DeepPatchDiscriminator, Pix2PixGenerator
from gan.networks.registry import AVERAGED, build_networks
from gan.training.baseline_steps import CycleStep, Pix2PixStep
from tests.builders.errors import raises
from tests.builders.gan import SCHEMA, receptive_field

TINY = (
    "network.size=32",
    "network.width=4",
    "network.discriminator_width=4",
    "network.channels=1",
)
STEPS = {"pix2pix": Pix2PixStep, "cyclegan": CycleStep}
BASELINES = tuple(STEPS)


def tiny(name: str) -> GanConfig:
    wide = ["network.max_width=16"] if name == "pix2pix" else []
    return load_config(name, GanConfig, [*TINY, *wide])


def batch(count: int = 4, side: int = 32) -> Batch:
    generator = torch_generator(0, "test")
    masks = (torch.rand(count, 1, side, side, generator=generator) > 0.8).float()
    return Batch(masks * 0.8 - 0.4, masks, masks, torch.zeros(count, SCHEMA.size))


def test_patches_are_70_pixels_wide() -> None:
    assert receptive_field(LAYERS) == 70


def test_sizes_are_those_of_the_papers() -> None:
    # The published U-Net has 54,404,096 weights in its convolutions at 256 px; it takes 3 channels, this one a mask.
    u_net = Pix2PixGenerator(Pix2PixNetwork(size=256, width=64, max_width=512), 0)
    assert sum(p.numel() for p in u_net.parameters() if p.ndim == 4) == 54_404_096 - 2 * 64 * 16
    resnet = CycleGenerator(CycleGanNetwork(size=128, width=64), 0)
    assert len(resnet.blocks) == 6
    assert len(CycleGenerator(CycleGanNetwork(size=256, width=8), 0).blocks) == 9
    discriminator = DeepPatchDiscriminator(6, 64)
    assert discriminator(torch.zeros(1, 6, 256, 256)).shape == (1, 1, 30, 30)


@pytest.mark.parametrize("name", BASELINES)
def test_every_weight_moves_and_the_scalars_are_numbers(name: str) -> None:
    config = tiny(name)
    torch.manual_seed(0)
    networks = build_networks(config.network, SCHEMA)
    optimizers = {key: MasterAdam(net, 1e-3, ema=0.9 if key in AVERAGED else None) for key, net in networks.items()}
    step = STEPS[name].build(networks, optimizers, config, SCHEMA, None)
    before = {f"{key}.{n}": p.clone() for key, net in networks.items() for n, p in net.named_parameters()}
    for index in range(3):
        noise = networks["generator"].draw_noise(4, torch_generator(0, index))  # type: ignore[operator]
        report = step(batch(), noise, torch.zeros(0), 1e-3, index)
        assert all(abs(value) < 1e3 for value in report.values()), report
    after = {f"{key}.{n}": p for key, net in networks.items() for n, p in net.named_parameters()}
    still = [
        key
        for key in before
        if torch.equal(before[key], after[key]) and not key.endswith("bias")  # a normalized bias has no gradient
    ]
    assert not still


def test_pix2pix_learns_to_copy_the_mask() -> None:
    config = tiny("pix2pix")
    torch.manual_seed(0)
    networks = build_networks(config.network, SCHEMA)
    optimizers = {key: MasterAdam(net, 2e-3) for key, net in networks.items()}
    step = Pix2PixStep.build(networks, optimizers, config, SCHEMA, None)
    losses = []
    for index in range(40):
        noise = networks["generator"].draw_noise(4, torch_generator(0, index))  # type: ignore[operator]
        losses.append(step(batch(), noise, torch.zeros(0), 2e-3, index)["reconstruction"])
    assert losses[-1] < 0.5 * losses[0]


def test_dropout_is_noise_of_an_image_of_its_own() -> None:
    network = Pix2PixGenerator(tiny("pix2pix").network, 0).eval()
    masks = torch.ones(2, 1, 32, 32)
    both = network.sample_noise([torch_generator(0, i) for i in range(2)])
    alone = network.sample_noise([torch_generator(0, 1)])
    with torch.no_grad():
        pair, single = network(masks, both, torch.zeros(2, 0)), network(masks[:1], alone, torch.zeros(1, 0))
    torch.testing.assert_close(pair[1], single[0])
    assert not torch.allclose(pair[0], pair[1])


def test_history_gives_back_what_it_was_given() -> None:
    history = History((1, 1, 1), length=2)

    def one(value: float) -> Tensor:
        return torch.full((1, 1, 1, 1), value)

    draw = torch.tensor([[0.0, 0.9]])
    assert history.exchange(one(1.0), draw).item() == 1.0
    assert history.exchange(one(2.0), draw).item() == 2.0
    assert history.exchange(one(3.0), draw).item() == 2.0  # full: the second place is exchanged
    assert history.exchange(one(4.0), torch.tensor([[0.7, 0.9]])).item() == 4.0
    assert sorted(history.get_buffer("kept").flatten().tolist()) == [1.0, 3.0]


def test_histories_are_part_of_the_state() -> None:
    names = dict(CycleDiscriminators(tiny("cyclegan").network).named_buffers())
    assert {"old_images.kept", "old_images.filled", "old_masks.kept", "old_masks.filled"} == set(names)


def test_terms_without_effect_are_refused() -> None:
    with raises("E-config-value", "loss.kl would do nothing with network.architecture pix2pix"):
        load_config("pix2pix", GanConfig, ["loss.kl=0.1"])
