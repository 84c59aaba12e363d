"""Training by two processes on one machine, as `torchrun` starts them, each leaving a hash of its weights."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

import torch

import gan.training.launch
import gan.training.loop
import gan.training.magna_step
from engine.commands import main
from engine.errors import OutputError
from gan.cli.train import app
from gan.training.trainer import Trainer
from tests.builders.killing import PRELOADED

RANKS = 2


def record(folder: Path) -> None:
    """Makes every process of this run leave the hashes of its float32 weights in a folder."""
    original = gan.training.launch.train

    def recorded(trainer: Trainer, *arguments: Any, **keywords: Any) -> Any:
        result = original(trainer, *arguments, **keywords)
        hashes = {
            name: hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
            for name, tensor in trainer.state().items()
            if ".buffer." not in name
        }
        (folder / f"rank-{trainer.fabric.global_rank}.json").write_text(json.dumps(hashes))
        return result

    gan.training.launch.train = recorded


def _rank(
    rank: int, port: int, command_line: list[str], folder: Path, broken_rank: int | None, full_disk: bool
) -> None:
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(RANKS),
        "LOCAL_WORLD_SIZE": str(RANKS),
    }
    torch.set_num_threads(1)
    with (folder / f"rank-{rank}.err").open("w") as errors:
        os.dup2(errors.fileno(), 2)
    record(folder)
    if rank == broken_rank:
        original = gan.training.magna_step.reconstruction_loss
        gan.training.magna_step.reconstruction_loss = lambda *arguments: original(*arguments) * float("nan")
    if full_disk:
        gan.training.loop.write_bytes = _no_space
    raise SystemExit(main(app, command_line, name="train-gan"))


def _no_space(path: Path, data: bytes) -> None:
    raise OutputError(f"{path}: No space left on device; free some space", code="E-test-full")


def train_on_two_ranks(
    command_line: list[str], folder: Path, *, broken_rank: int | None = None, full_disk: bool = False
) -> list[int]:
    """Exit codes of the two processes; one of them may be built to compute a loss that is no number.

    What a process says on stderr is in `rank-<number>.err` of the folder.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        context.Process(target=_rank, args=(rank, port, command_line, folder, broken_rank, full_disk))
        for rank in range(RANKS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode if process.exitcode is not None else -1 for process in processes]
