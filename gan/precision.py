"""The number format a generator runs in, and a network made ready for it."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from engine.precision import native_bf16

Network = TypeVar("Network", bound=nn.Module)


def inference_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware has it, else float32."""
    return torch.bfloat16 if native_bf16(device) else torch.float32


def prepare(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """The network in evaluation mode, channels-last, without gradients, on the device and in the format."""
    network = network.eval().requires_grad_(False).to(device=device, dtype=dtype)
    network.to(memory_format=torch.channels_last)
    return network
