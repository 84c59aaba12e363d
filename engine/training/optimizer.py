"""Adam on float32 masters of a network that may compute in bfloat16, with the averaged weights that are saved.

bfloat16 keeps 8 bits of a weight: an update of a thousandth would round away. The masters take it; the network gets a
rounded copy after each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import CheckpointError


class MasterAdam:
    """Adam over float32 masters of a network's parameters.

    Args:
        network: its parameters receive gradients and the rounded values of the masters.
        learning_rate: at the start.
        ema: decay of the running average of the weights; None for none.
    """

    def __init__(self, network: nn.Module, learning_rate: float, *, ema: float | None = None) -> None:
        self.named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self.masters = [p.detach().float().clone() for _, p in self.named]
        self.average = [m.clone() for m in self.masters] if ema is not None else None
        self.ema = ema
        self.steps = 0
        self.adam = torch.optim.Adam(self.masters, lr=learning_rate, betas=(0.5, 0.999), fused=True)

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Applies the network's gradients and clears them."""
        for group in self.adam.param_groups:
            group["lr"] = learning_rate
        for master, (_, parameter) in zip(self.masters, self.named, strict=True):
            # The fused kernel walks memory in order: the gradient must lie as its master does, not channels-last.
            master.grad = None if parameter.grad is None else torch.empty_like(master).copy_(parameter.grad)
            parameter.grad = None
        self.adam.step()
        self.steps += 1
        torch._foreach_copy_([p for _, p in self.named], self.masters)
        if self.average is not None and self.ema is not None:
            decay = min(self.ema, (1 + self.steps) / (10 + self.steps))
            torch._foreach_lerp_(self.average, self.masters, 1 - decay)

    def finite(self) -> bool:
        """Whether every weight is a number: a loss may be one and its gradient not."""
        return all(bool(torch.isfinite(master).all()) for master in self.masters)

    def averaged(self) -> dict[str, Tensor]:
        """The averaged weights by parameter name."""
        source = self.average if self.average is not None else self.masters
        return {name: value for (name, _), value in zip(self.named, source, strict=True)}

    def state(self, prefix: str) -> dict[str, Tensor]:
        """Everything that a resumed run needs, as named tensors."""
        result = {f"{prefix}.steps": torch.tensor(self.steps)}
        for index, (name, _) in enumerate(self.named):
            result[f"{prefix}.master.{name}"] = self.masters[index]
            if self.average is not None:
                result[f"{prefix}.average.{name}"] = self.average[index]
            for key, value in self.adam.state.get(self.masters[index], {}).items():
                result[f"{prefix}.{key}.{name}"] = value
        return result

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor], prefix: str) -> None:
        """Reads what `state` wrote.

        Raises:
            KeyError: for a tensor that is missing.
        """
        self.steps = int(tensors[f"{prefix}.steps"])
        for index, (name, parameter) in enumerate(self.named):
            self.masters[index].copy_(tensors[f"{prefix}.master.{name}"])
            if self.average is not None:
                self.average[index].copy_(tensors[f"{prefix}.average.{name}"])
            if self.steps:
                keys = ("step", "exp_avg", "exp_avg_sq")
                self.adam.state[self.masters[index]] = {
                    k: tensors[f"{prefix}.{k}.{name}"].to(self.masters[index].device).clone() for k in keys
                }
            parameter.copy_(self.masters[index])


Tensors = dict[str, torch.Tensor]


def save_state(optimizers: Mapping[str, MasterAdam], networks: Mapping[str, Any]) -> Tensors:
    """Masters, averages and moments of the optimizers and buffers of the networks, by name."""
    tensors: Tensors = {}
    for name, adam in optimizers.items():
        tensors |= adam.state(name)
    for name, module in networks.items():
        tensors |= {f"{name}.buffer.{k}": v for k, v in _plain(module).named_buffers()}
    return tensors


def load_state(optimizers: Mapping[str, MasterAdam], networks: Mapping[str, Any], tensors: Tensors) -> None:
    """Reads what `save_state` gave.

    Raises:
        CheckpointError: it is the state of other networks.
    """
    try:
        for name, adam in optimizers.items():
            adam.load(tensors, name)
        for name, module in networks.items():
            for k, buffer in _plain(module).named_buffers():
                buffer.copy_(tensors[f"{name}.buffer.{k}"])
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"the saved state does not fit this run ({error}); train anew into another --out", code="E-resume-state"
        ) from None


def _plain(module: Any) -> torch.nn.Module:
    """The network inside Fabric's and DDP's wrappers."""
    inner = getattr(module, "module", module)
    return inner if isinstance(inner, torch.nn.Module) else module
