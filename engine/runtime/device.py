"""The device of a run: the number format it computes fastest in, and kernels that repeat their results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.utils.deterministic
from torch import nn

from engine.errors import UsageError


def select_device(name: str) -> torch.device:
    """The device of a `--device` value; `auto` is a CUDA device where there is one, else the CPU.

    Raises:
        UsageError: the name is unknown or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    code = "E-device"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device: {name!r} is unknown; choose auto, cpu or cuda", code=code) from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device: {name!r} is not supported; choose auto, cpu or cuda", code=code)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device: {name!r}, but no CUDA device is visible; choose auto or cpu", code=code)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise UsageError(
            f"--device: {name!r}, but the last CUDA device is cuda:{last}; choose one up to that", code=code
        )
    return device


def select_precision(name: str) -> torch.dtype | None:
    """The number format of a `--precision` value; `auto` is None: the fastest that the device has.

    Raises:
        UsageError: the name is unknown.
    """
    try:
        return {"auto": None, "bf16": torch.bfloat16, "fp32": torch.float32}[name]
    except KeyError:
        raise UsageError(f"--precision: {name!r} is unknown; choose auto, bf16 or fp32", code="E-precision") from None


def native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere it is emulated and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        can = torch.cpu.get_capabilities()
        return bool(can.get("avx512_bf16") or can.get("amx_bf16") or can.get("bf16"))
    return False


Network = TypeVar("Network", bound=nn.Module)


def inference_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware has it, else float32."""
    return torch.bfloat16 if native_bf16(device) else torch.float32


def prepare(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """The network in evaluation mode, channels-last, without gradients, on the device and in the format."""
    network = network.eval().requires_grad_(False).to(device=device, dtype=dtype)
    network.to(memory_format=torch.channels_last)
    return network


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Deterministic kernels and true float32 on a CUDA device; the settings before come back at the end."""
    if device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn  # its stubs know neither `conv` nor the switch of filling
    matmul, filling = torch.backends.cuda.matmul, cast(Any, torch.utils.deterministic)
    flags = cudnn.benchmark, cudnn.deterministic
    formats = cudnn.conv.fp32_precision, matmul.fp32_precision
    mode = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = filling.fill_uninitialized_memory
    try:
        cudnn.benchmark, cudnn.deterministic = False, True
        cudnn.conv.fp32_precision = matmul.fp32_precision = "ieee"
        filling.fill_uninitialized_memory = False  # no kernel here reads what was not written
        torch.use_deterministic_algorithms(True, warn_only=True)
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = flags
        cudnn.conv.fp32_precision, matmul.fp32_precision = formats
        filling.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(mode[0], warn_only=mode[1])
