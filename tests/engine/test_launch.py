"""Processes of a training: the accelerator they run on, how many there may be, and what one of them does for all."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.errors import OutputError
from engine.training.launch import by_the_first, launch_processes, select_accelerator
from tests.builders.errors import raises


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores, nothing else, and no torchrun."""
    for name in ("LOCAL_WORLD_SIZE", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_auto_is_the_first_present_of_cuda_mps_and_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert select_accelerator("auto") == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert select_accelerator("auto") == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert select_accelerator("auto") == "cuda"
    assert select_accelerator("cpu") == "cpu"


@pytest.mark.parametrize("device", ["cuda", "mps", "tpu", ""])
def test_a_device_that_is_unknown_or_absent_is_refused(device: str) -> None:
    with raises("E-device"):
        select_accelerator(device)


def test_more_processes_than_cores_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert select_accelerator("cpu", 2) == "cpu"
    with raises("E-device-count", "3 processes on this machine, but 2 cores; give --devices"):
        select_accelerator("cpu", 3)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert select_accelerator("cpu", 2) == "cpu"  # two processes run on any machine


def test_more_processes_than_gpus_are_refused(two_gpus: None) -> None:
    assert select_accelerator("auto", 2) == "cuda"
    with raises("E-device-count", "3 processes on this machine, but 2 GPUs; .*or --device cpu"):
        select_accelerator("auto", 3)


def test_torchrun_decides_how_many_processes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with raises("E-device-count"):
        select_accelerator("cpu", 1)
    monkeypatch.setenv("LOCAL_RANK", "1")  # the first process reports it for all
    with pytest.raises(SystemExit) as caught:
        select_accelerator("cpu", 1)
    assert caught.value.code == 2


def test_one_process_is_launched_on_the_cpu() -> None:
    fabric = launch_processes("cpu")
    assert (fabric.world_size, fabric.global_rank, fabric.device.type) == (1, 0, "cpu")
    assert launch_processes("cpu", dtype=torch.bfloat16)._precision.precision == "bf16-true"


class Process(SimpleNamespace):
    """One of two processes; `code` is the sum of the exit codes of both."""

    def __init__(self, rank: int, code: int | None = None) -> None:
        super().__init__(world_size=2, is_global_zero=rank == 0, device=torch.device("cpu"), code=code)

    def all_reduce(self, value: torch.Tensor, reduce_op: str) -> torch.Tensor:
        assert reduce_op == "sum"
        return value if self.code is None else torch.tensor(float(self.code))


def full_disk() -> Any:
    raise OutputError("out: no space left", code="E-out-unwritable")


def test_the_first_process_acts_and_the_others_wait_for_it() -> None:
    assert by_the_first(Process(0), lambda: "result") == "result"  # type: ignore[arg-type]
    assert by_the_first(Process(1, 0), full_disk) is None  # type: ignore[arg-type]


def test_when_the_first_process_fails_it_raises_and_the_others_exit_with_its_code() -> None:
    with raises("E-out-unwritable"):
        by_the_first(Process(0), full_disk)  # type: ignore[arg-type]
    with pytest.raises(SystemExit) as caught:
        by_the_first(Process(1, OutputError.exit_code), full_disk)  # type: ignore[arg-type]
    assert caught.value.code == OutputError.exit_code
    with pytest.raises(ZeroDivisionError):
        by_the_first(Process(0), lambda: 1 // 0)  # type: ignore[arg-type]


def test_a_single_process_acts_for_itself() -> None:
    with raises("E-out-unwritable"):
        by_the_first(launch_processes("cpu"), full_disk)
