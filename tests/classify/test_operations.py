"""Parameters and operations are those of the source, or the table says by how much not."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from classify.models.cam import build_classifier
from classify.models.complexity import PUBLISHED, SIZE, Operations, measure, table_lines

MOBILE = [key for key in PUBLISHED if key[0] != "convnext_tiny"]
CONVNEXT = [key for key in PUBLISHED if key[0] == "convnext_tiny"]


@cache
def measured(key: tuple[str, bool]) -> Operations:
    return measure(key[0], short=key[1])


@pytest.mark.parametrize("key", PUBLISHED)
def test_the_parameters_are_the_published_ones(key: tuple[str, bool]) -> None:
    assert measured(key).parameters == PUBLISHED[key].parameters


@pytest.mark.parametrize("key", MOBILE)
def test_the_operations_of_the_mobile_networks_are_the_published_ones_to_the_digit(key: tuple[str, bool]) -> None:
    found = measured(key)
    assert found.profiled is not None
    assert round(found.profiled / 1e6, 3) == PUBLISHED[key].plain
    assert round((found.profiled + found.map_macs) / 1e6, 3) == PUBLISHED[key].with_map


@pytest.mark.parametrize("key", CONVNEXT)
def test_those_of_convnext_come_within_a_fifty_thousandth_and_the_map_to_the_digit(key: tuple[str, bool]) -> None:
    found = measured(key)
    assert found.profiled is not None
    assert found.profiled / 1e6 == pytest.approx(PUBLISHED[key].plain, rel=2e-5)
    assert found.map_macs / 1e6 == pytest.approx(PUBLISHED[key].with_map - PUBLISHED[key].plain, abs=1.1e-3)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "mobilenetv3_large"])
def test_multiply_accumulates_are_those_pytorch_counts(name: str) -> None:
    network = build_classifier(name).eval()
    images = torch.zeros(1, 3, SIZE, SIZE)
    with FlopCounterMode(display=False) as counter:
        learning = network(images)
    found = measured((name, False))
    assert found.macs + found.map_macs == counter.get_total_flops() / 2
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        requested = network(images)  # the logit is the map's mean: the last neuron is spared
    assert found.macs + found.map_macs - network.head.in_features == counter.get_total_flops() / 2
    torch.testing.assert_close(requested.logits, learning.logits.detach(), rtol=1e-4, atol=1e-4)
    assert torch.equal(requested.maps, learning.maps)


@pytest.mark.parametrize("key", PUBLISHED)
def test_the_map_is_less_than_a_thousandth_of_the_operations(key: tuple[str, bool]) -> None:
    assert measured(key).share < 1e-3


def test_the_table_shows_a_dash_where_the_source_is_silent() -> None:
    lines = table_lines({("resnet18", False): measured(("resnet18", False)), MOBILE[0]: measured(MOBILE[0])})
    assert "11,186,625" in lines[1]
    assert lines[1].count("–") == 5
    assert lines[2].split()[3:5] == ["234.755", "236.641"]
