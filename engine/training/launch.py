"""Processes of a training: started on the CPU, CUDA or MPS devices, and what one of them does for all."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from engine.errors import MagnaError, UsageError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Result = TypeVar("Result")


def by_the_first(fabric: Fabric, action: Callable[[], Result]) -> Result | None:
    """Process 0 acts while the others wait; when it fails, it says so and the others leave without a word.

    Args:
        fabric: Launched; every process must come here.
        action: Called in process 0 only.

    Returns:
        The action's result; None in the other processes.

    Raises:
        Exception: In process 0, what the action raised.
        SystemExit: In the others, with the same exit code.
    """
    if fabric.world_size == 1:
        return action()
    import torch

    result, issue = None, None
    if fabric.is_global_zero:
        try:
            result = action()
        except Exception as error:  # whatever it is, the others must not wait for ever
            issue = error
    code = 0 if issue is None else issue.exit_code if isinstance(issue, MagnaError) else 1
    verdict: Any = fabric.all_reduce(torch.tensor(float(code), device=fabric.device), reduce_op="sum")
    if issue is not None:
        raise issue
    if int(verdict):
        sys.exit(int(verdict))
    return result


# Renamed in torch 2.15, which warns of the old name.
_RENAMED = "forward_sync_buffers" in inspect.signature(DistributedDataParallel.__init__).parameters
_NO_BUFFERS: dict[str, Any] = {"forward_sync_buffers" if _RENAMED else "broadcast_buffers": False}


def select_accelerator(device: str, devices: int = 1) -> Literal["cpu", "cuda", "mps"]:
    """The accelerator of a `--device` value; `auto` is the first found of cuda, mps and cpu.

    Args:
        device: auto, cpu, cuda or mps.
        devices: Processes on this machine, unless torchrun says how many it started.

    Raises:
        UsageError: The device is unknown or not there, or the machine has too few for all processes.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    accelerator: Any = next(name for name, present in there.items() if present) if device == "auto" else device
    if accelerator not in there:
        raise UsageError(f"--device {device}: is not known; give auto, {', '.join(sorted(there))}", code="E-device")
    if not there[accelerator]:
        raise UsageError(f"--device {device}: none is found on this machine; give auto or cpu", code="E-device")
    local = local_processes(devices)
    most = torch.cuda.device_count() if accelerator == "cuda" else max(2, os.cpu_count() or 1)
    if local > most:
        if int(os.environ.get("LOCAL_RANK", 0)):  # started by torchrun, where the first one says it for all
            sys.exit(UsageError.exit_code)
        unit = "GPUs" if accelerator == "cuda" else "cores"
        raise UsageError(
            f"{local} processes on this machine, but {most} {unit}; give --devices (torchrun: --nproc-per-node) at "
            "most as many" + (", or --device cpu" if accelerator == "cuda" else ""),
            code="E-device-count",
        )
    return accelerator  # type: ignore[no-any-return]


def local_processes(devices: int) -> int:
    """Processes on this machine: as torchrun says in the environment, else as requested."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", devices))


def launch_processes(
    accelerator: str, devices: int = 1, dtype: torch.dtype = torch.float32, *, broadcast_buffers: bool = True
) -> Fabric:
    """Launches the processes; code after it runs in each of them.

    Args:
        accelerator: See `select_accelerator`.
        devices: Processes on this machine, unless torchrun says how many it started.
        dtype: Of the networks that Fabric sets up, float32 or bfloat16.
        broadcast_buffers: Whether a network's buffers are sent to all processes before each forward pass. A
            discriminator runs twice before its backward pass, which must find its buffers unchanged: there it is False.
    """
    local = local_processes(devices)
    world = int(os.environ.get("WORLD_SIZE", local)) if "LOCAL_WORLD_SIZE" in os.environ else local
    several: Any = "ddp" if broadcast_buffers else DDPStrategy(**_NO_BUFFERS)
    fabric = Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=max(1, world // local),
        precision="bf16-true" if dtype == torch.bfloat16 else "32-true",
        strategy=several if world > 1 else "auto",
    )
    fabric.launch()
    return fabric
