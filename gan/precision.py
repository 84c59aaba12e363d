"""The number format a generator runs in, and a network made ready for it."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere it is emulated and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        can = torch.cpu.get_capabilities()
        return bool(can.get("avx512_bf16") or can.get("amx_bf16") or can.get("bf16"))
    return False


def inference_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware has it, else float32."""
    return torch.bfloat16 if native_bf16(device) else torch.float32


def prepare(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """The network in evaluation mode, channels-last, without gradients, on the device and in the format."""
    network = network.eval().requires_grad_(False).to(device=device, dtype=dtype)
    network.to(memory_format=torch.channels_last)
    return network
