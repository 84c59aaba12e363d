"""A training run that is killed by SIGKILL at a chosen file operation: between two of them a kill changes nothing."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import torch

from engine.commands import main
from gan.cli.train import app

OPERATIONS = ("open", "write", "fsync", "replace", "unlink", "ftruncate")
PRELOADED = ["gan.training.launch", "gan.cli.train", "sklearn.cluster", "sklearn.preprocessing", __name__]


def train(command_line: list[str], kill_at: int, count: Synchronized[int]) -> None:
    """Runs `train-gan` in a child process and kills it at its n-th file operation, a write halfway; never for 0."""

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **keywords: Any) -> Any:
            count.value += 1
            if count.value == kill_at:
                if original is write:
                    write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **keywords)

        return operation

    write = os.write
    for name in OPERATIONS:
        setattr(os, name, counted(getattr(os, name)))
    torch.set_num_threads(1)
    raise SystemExit(main(app, command_line, name="train-gan"))


def train_with_kills(command_line: list[str], out: Path, kills: int, seed: int) -> None:
    """Kills runs at random operations, resuming what is left each time, and lets the last one end.

    A run that ends before its kill is thrown away, and another one begins in its place.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    rng = random.Random(seed)
    operations = _run(context, command_line, 0)[1]
    shutil.rmtree(out)
    died = 0
    while died < kills:
        code, _ = _run(context, command_line, rng.randint(1, operations))
        if code == 0:
            shutil.rmtree(out)
            continue
        assert code == -signal.SIGKILL
        died += 1
    assert _run(context, command_line, 0)[0] == 0


def _run(context: Any, command_line: list[str], kill_at: int) -> tuple[int, int]:
    """Exit code and number of file operations of a run."""
    count = context.Value("i", 0)
    process = context.Process(target=train, args=(command_line, kill_at, count))
    process.start()
    process.join()
    return process.exitcode, count.value
