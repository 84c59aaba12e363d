"""What a resumed run needs besides the averaged weights: optimisers and buffers, as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from engine.errors import CheckpointError
from gan.optimiser import MasterAdam

Tensors = dict[str, torch.Tensor]


def save_state(adams: Mapping[str, MasterAdam], networks: Mapping[str, Any]) -> Tensors:
    """Masters, averages and moments of the optimisers and buffers of the networks, by name."""
    tensors: Tensors = {}
    for name, adam in adams.items():
        tensors |= adam.state(name)
    for name, module in networks.items():
        tensors |= {f"{name}.buffer.{k}": v for k, v in _plain(module).named_buffers()}
    return tensors


def load_state(adams: Mapping[str, MasterAdam], networks: Mapping[str, Any], tensors: Tensors) -> None:
    """Reads what `save_state` gave.

    Raises:
        CheckpointError: it is the state of other networks.
    """
    try:
        for name, adam in adams.items():
            adam.load(tensors, name)
        for name, module in networks.items():
            for k, buffer in _plain(module).named_buffers():
                buffer.copy_(tensors[f"{name}.buffer.{k}"])
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"the saved state does not fit this run ({error}); train anew into another --out"
        ) from None


def _plain(module: Any) -> torch.nn.Module:
    """The network inside Fabric's and DDP's wrappers."""
    inner = getattr(module, "module", module)
    return inner if isinstance(inner, torch.nn.Module) else module
