"""Same seed, same bytes on a CUDA device too: what PyTorch must be told, and only while a run lasts.

Left alone, cuDNN may choose an algorithm by timing it and add in any order, and convolutions of float32 numbers are
computed in TF32, with 10 bits of mantissa. Here algorithms are chosen by rule, deterministic ones where there are any,
and float32 means float32; the format for speed is bfloat16. An operation without a deterministic form is warned of, by
its name. (PyTorch, notes on reproducibility and on CUDA: `use_deterministic_algorithms`, `fp32_precision`. cuBLAS needs
no setting: PyTorch gives every stream a workspace of its own.) On a CPU nothing needs to be changed.

All these settings are the process's, so threads find them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.nn.functional as F
import torch.utils.deterministic
from torch import Tensor


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


def area(images: Tensor, side: int) -> Tensor:
    """(N, C, S, S) to (N, C, side, side) by area: the values of `adaptive_avg_pool2d`, whose gradient on CUDA is added
    up in any order, by kernels that do not have this fault wherever one side is a multiple of the other.
    """
    given = images.shape[-1]
    if given % side == 0:
        return F.avg_pool2d(images, given // side)
    if side % given == 0:
        return F.interpolate(images, size=(side, side), mode="nearest")
    return F.adaptive_avg_pool2d(images, side)
