"""Depthwise convolutions leave bfloat16 inside the context only, and give the same gradients."""

from __future__ import annotations

import torch
from torch import nn

from classify.depthwise import depthwise_in_float32


def test_depthwise_layers_compute_in_float32_inside_and_as_before_outside() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 2, 1))
    images = torch.randn(2, 3, 9, 9)
    seen = []
    network[1].register_forward_hook(lambda _, inputs, output: seen.append((inputs[0].dtype, output.dtype)))
    with torch.autocast("cpu", torch.bfloat16), depthwise_in_float32(network):
        inside = network(images)
    inside.float().square().mean().backward()
    gradient = network[1].weight.grad
    assert seen == [(torch.bfloat16, torch.bfloat16)]
    assert "forward" not in vars(network[1])

    network.zero_grad()
    outside = network(images)
    outside.square().mean().backward()
    assert gradient is not None
    torch.testing.assert_close(inside.float(), outside, atol=0.02, rtol=0.05)
    torch.testing.assert_close(gradient, network[1].weight.grad, atol=0.02, rtol=0.1)


def test_an_error_inside_leaves_the_layers_as_they_were() -> None:
    network = nn.Conv2d(4, 4, 3, groups=4)
    try:
        with depthwise_in_float32(network):
            raise RuntimeError
    except RuntimeError:
        assert "forward" not in vars(network)
