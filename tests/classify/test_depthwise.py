"""Quick gradients of depthwise convolutions are those of PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from classify.config import NetworkConfig
from classify.models.depthwise import depthwise, quick_depthwise
from classify.models.weights import build_network


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [1, 9, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_output_and_gradients_are_those_of_the_plain_convolution(
    kernel: int, stride: int, side: int, dtype: torch.dtype
) -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(2, 8, side, side, generator=draw).to(dtype).requires_grad_()
    weight = torch.randn(8, 1, kernel, kernel, generator=draw).to(dtype).requires_grad_()
    plain = F.conv2d(images, weight, None, stride, kernel // 2, 1, 8)
    quick = depthwise(images, weight, stride, kernel // 2)
    gradient = torch.randn(plain.shape, generator=draw).to(dtype)
    expected = torch.autograd.grad(plain, (images, weight), gradient)
    found = torch.autograd.grad(quick, (images, weight), gradient)
    loose = {"rtol": 2e-2, "atol": 0.2} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(quick, plain)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **loose)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenetv3_large", "convnext_tiny"])
def test_a_whole_network_has_the_same_gradients_and_is_left_as_it_was(name: str) -> None:
    network = build_network(NetworkConfig(name=name, short=True), 1).eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    forwards = {key: module.forward for key, module in network.named_modules()}

    def gradients() -> list[torch.Tensor]:
        return list(torch.autograd.grad(network(images).logits.sum(), list(network.parameters())))

    expected = gradients()
    with quick_depthwise(network, torch.device("cpu")):
        found = gradients()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * max(1.0, float(other.abs().max())))
    assert {key: module.forward for key, module in network.named_modules()} == forwards
    assert all("forward" not in vars(module) for module in network.modules())


def test_other_convolutions_are_left_alone() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(4, 4, 3, groups=4, dilation=2))
    with quick_depthwise(network, torch.device("cpu")):
        assert all("forward" not in vars(module) for module in network)
