"""What lies beyond the border of the generator's maps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gan.config import MagnaNetwork
from gan.networks.layers import Convolution, reflected
from gan.networks.magna_generator import MagnaGenerator


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (16, 2)])
def test_reflected_has_the_values_and_the_gradient_of_reflection_padding(
    shape: tuple[int, int], layout: torch.memory_format
) -> None:
    features = torch.randn(2, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one, two = (features.clone().contiguous(memory_format=layout).requires_grad_() for _ in range(2))
    mine, theirs = reflected(one), F.pad(two, (1, 1, 1, 1), mode="reflect")
    assert torch.equal(mine, theirs)
    assert mine.is_contiguous(memory_format=layout)
    (mine.pow(2).sum()).backward()
    (theirs.pow(2).sum()).backward()
    assert one.grad is not None
    assert two.grad is not None
    assert torch.allclose(one.grad, two.grad)


def test_a_single_pixel_is_repeated() -> None:
    assert torch.equal(reflected(torch.full((1, 2, 1, 1), 3.0)), torch.full((1, 2, 3, 3), 3.0))


def test_an_even_map_stays_even_up_to_the_border_with_reflection_and_not_with_zeros() -> None:
    even = torch.ones(1, 4, 8, 8)
    for padding, kernel, stride in (("reflect", 3, 1), ("reflect", 4, 2), ("zeros", 3, 1)):
        torch.manual_seed(0)
        with torch.no_grad():
            result = Convolution(4, 5, kernel, stride=stride, padding=padding)(even)
        assert result.shape[-1] == 8 // stride
        spread = (result - result[:, :, 2:3, 2:3]).abs().amax()
        assert (float(spread) < 1e-6) == (padding == "reflect")


def test_both_paddings_have_the_same_weights_and_differ_at_the_border() -> None:
    zeros, reflect = (MagnaGenerator(MagnaNetwork(size=32, width=4, padding=p), 3) for p in ("zeros", "reflect"))
    reflect.load_state_dict(zeros.state_dict())
    noise = zeros.sample_noise([torch.Generator().manual_seed(1)])
    images = [network(torch.zeros(1, 1, 32, 32), noise, torch.zeros(1, 3)) for network in (zeros, reflect)]
    assert not torch.equal(*images)


def test_a_description_of_before_the_key_existed_means_zeros() -> None:
    assert MagnaNetwork.model_validate({"size": 128}).padding == "zeros"


@pytest.mark.parametrize("start", [1, 4, 8])
def test_every_weight_has_a_gradient_from_whatever_map_the_decoder_starts(start: int) -> None:
    network = MagnaGenerator(MagnaNetwork(size=32, width=4, max_width=8, padding="reflect", start=start), 3)
    noise = network.sample_noise([torch.Generator().manual_seed(i) for i in range(2)])
    network(torch.ones(2, 1, 32, 32), noise, torch.ones(2, 3)).pow(2).mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert bool(torch.isfinite(weight.grad).all()), name
