"""Adam on float32 masters against torch's own, and what bfloat16 would lose without them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.training.optimizer import MasterAdam

RATES = [1e-3] * 5 + [5e-4] * 5


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(), nn.Flatten(), nn.Linear(64, 2))


def loss(net: nn.Module, step: int) -> Tensor:
    images = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(step))
    result: Tensor = net(images.to(next(net.parameters()).dtype)).float().pow(2).mean()
    return result


@pytest.mark.parametrize("converted", ["never", "before", "after"])
def test_in_float32_it_is_torchs_adam_step_for_step_in_any_memory_format(converted: str) -> None:
    ours, theirs = network(), network()
    if converted == "before":
        ours.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = MasterAdam(ours, RATES[0])
    if converted == "after":
        ours.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    reference = torch.optim.Adam(theirs.parameters(), lr=RATES[0], betas=(0.5, 0.999))
    for step, rate in enumerate(RATES):
        loss(ours, step).backward()
        adam.step(rate)
        reference.param_groups[0]["lr"] = rate
        reference.zero_grad()
        loss(theirs, step).backward()
        reference.step()
        for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(mine, its, rtol=1e-5, atol=1e-7)


def test_gradients_are_cleared_and_a_parameter_without_one_stays() -> None:
    net = network()
    unused = nn.Linear(2, 2)
    net.register_module("unused", unused)
    before = unused.weight.clone()
    adam = MasterAdam(net, 1e-2)
    net[3](net[2](net[1](net[0](torch.randn(1, 3, 6, 6))))).sum().backward()
    adam.step(1e-2)
    assert all(p.grad is None for p in net.parameters())
    assert torch.equal(unused.weight, before)
    assert not torch.equal(net[0].weight, network()[0].weight)


def test_updates_too_small_for_bfloat16_are_not_lost() -> None:
    net = nn.Linear(4, 1, bias=False)
    nn.init.ones_(net.weight)
    adam = MasterAdam(net.to(torch.bfloat16), 1e-4)
    plain = torch.ones(1, 4, dtype=torch.bfloat16)
    for _ in range(100):
        net(torch.ones(1, 4, dtype=torch.bfloat16)).sum().backward()
        adam.step(1e-4)
        plain -= 1e-4
    assert bool((plain == 1).all())  # what happens to weights written in bfloat16
    assert adam.masters[0].flatten().tolist() == pytest.approx([0.99] * 4, abs=1e-4)
    assert torch.equal(net.weight, adam.masters[0].to(torch.bfloat16))
    assert float(net.weight.detach()[0, 0]) < 1


def test_the_average_follows_the_masters_with_a_short_memory_at_first() -> None:
    net = network()
    adam = MasterAdam(net, 1e-2, ema=0.9)
    expected = [p.detach().clone() for p in net.parameters()]
    for step in range(30):
        loss(net, step).backward()
        adam.step(1e-2)
        decay = min(0.9, (2 + step) / (11 + step))
        expected = [e.lerp(p.detach(), 1 - decay) for e, p in zip(expected, net.parameters(), strict=True)]
    for name, (value, requested) in zip(
        dict(net.named_parameters()), zip(adam.averaged().values(), expected, strict=True), strict=True
    ):
        assert torch.allclose(value, requested, atol=1e-6), name


def test_without_an_average_the_masters_stand_for_it() -> None:
    adam = MasterAdam(network(), 1e-3)
    assert [v.data_ptr() for v in adam.averaged().values()] == [m.data_ptr() for m in adam.masters]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_loaded_optimizer_goes_on_bit_for_bit(steps: int, dtype: torch.dtype) -> None:
    first = network()
    adam = MasterAdam(first, 1e-2, ema=0.99)
    first.to(dtype)
    for step in range(steps):
        loss(first, step).backward()
        adam.step(1e-2)
    saved = {name: value.clone() for name, value in adam.state("g").items()}

    torch.manual_seed(9)
    second = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(), nn.Flatten(), nn.Linear(64, 2))
    again = MasterAdam(second, 1e-2, ema=0.99)
    second.to(dtype)
    again.load(saved, "g")
    for step in range(steps, steps + 3):
        for net, optimizer in ((first, adam), (second, again)):
            loss(net, step).backward()
            optimizer.step(1e-2)
    left, right = adam.state("g"), again.state("g")
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), second.parameters(), strict=True))


def test_a_state_with_a_gap_is_an_error() -> None:
    adam = MasterAdam(network(), 1e-2)
    state = adam.state("g")
    del state["g.master.0.bias"]
    with pytest.raises(KeyError, match=r"g\.master\.0\.bias"):
        adam.load(state, "g")
