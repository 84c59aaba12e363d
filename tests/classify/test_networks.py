"""The networks are those of the source, to the digit, and their map is a class activation map."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from classify.models.backbones import BACKBONES, parameter_count
from classify.models.cam import build_classifier
from engine.errors import UsageError

PUBLISHED = [
    ("convnext_tiny", False, 27_820_897), ("convnext_tiny", True, 12_348_385),
    ("efficientnetv2_b0", False, 5_920_593), ("efficientnetv2_b0", True, 1_470_661),
    ("mobilenetv3_large", False, 2_997_313), ("mobilenetv3_large", True, 882_265),
]  # fmt: skip


@pytest.mark.parametrize(("name", "short", "count"), PUBLISHED)
def test_parameters_are_the_published_ones_to_the_digit(name: str, short: bool, count: int) -> None:
    assert parameter_count(build_classifier(name, short=short)) == count


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("short", [False, True])
def test_the_map_has_the_resolution_of_its_stage(name: str, short: bool) -> None:
    with torch.no_grad():
        output = build_classifier(name, classes=3, short=short).eval()(torch.rand(1, 3, 64, 64))
    side = 4 if short else 2
    assert output.logits.shape == (1, 3)
    assert output.maps.shape == (1, 3, side, side)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_large", "efficientnet_lite0"])
def test_the_map_averages_to_the_logit_less_its_bias(name: str) -> None:
    network = build_classifier(name, classes=2).eval()
    with torch.no_grad():
        output = network(torch.rand(3, 3, 64, 64))
    torch.testing.assert_close(output.maps.mean(dim=(2, 3)) + network.head.bias, output.logits, rtol=1e-4, atol=1e-4)


def test_behind_a_layer_norm_the_map_averages_to_the_logit_times_the_deviation() -> None:
    network = build_classifier("convnext_tiny", classes=2).eval()
    with torch.no_grad():
        torch.nn.init.uniform_(network.norm.weight, 0.5, 2.0)
        images = torch.rand(2, 3, 64, 64)
        output = network(images)
        deviation = network.features(images).mean(dim=(2, 3)).var(dim=1, unbiased=False).add(1e-6).sqrt()
    expected = (output.logits - network.head.bias) * deviation[:, None]
    torch.testing.assert_close(output.maps.mean(dim=(2, 3)), expected, rtol=1e-3, atol=1e-4)


def test_the_map_costs_what_the_source_says() -> None:
    network = build_classifier("mobilenetv3_large").eval()
    latent = torch.rand(1, 960, 4, 4)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.map_of(latent)
    assert counter.get_total_flops() / 2 == 960 * 16


def test_no_gradient_flows_through_the_map() -> None:
    output = build_classifier("resnet18")(torch.rand(2, 3, 64, 64))
    assert output.logits.requires_grad
    assert not output.maps.requires_grad


@pytest.mark.parametrize("name", BACKBONES)
def test_every_parameter_gets_a_gradient_and_none_is_nan(name: str) -> None:
    network = build_classifier(name, short=True)
    network(torch.rand(2, 3, 64, 64)).logits.square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


def test_an_unknown_network_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown network 'vgg'; use one of convnext_tiny, "):
        build_classifier("vgg")
