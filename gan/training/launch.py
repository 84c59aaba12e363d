"""Starts a training run: processes and devices, run folder, data, weights; then hands over to `gan.training.loop`."""

from __future__ import annotations

import inspect
import os
import sys
from contextlib import ExitStack, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from defects.formats.dataset import Dataset
from engine.commands import Progress
from engine.errors import UsageError
from engine.files.atomic import sha256_bytes
from engine.run.folder import RunFolder, same_config
from engine.runtime.device import repeatable
from engine.training.ranks import by_the_first
from engine.weights.vgg16 import style_vgg_weights
from gan.checkpoint import describe
from gan.config import GanConfig
from gan.data.dataset import Prepared, prepare
from gan.data.loader import to_batch
from gan.losses.style import StyleLoss
from gan.training.blend_trainer import BlendTrainer
from gan.training.loop import train
from gan.training.trainer import Trainer, training_dtype

CALIBRATION_IMAGES = 16
# Renamed in torch 2.15, which warns of the old name.
_RENAMED = "forward_sync_buffers" in inspect.signature(DistributedDataParallel.__init__).parameters
_DDP: dict[str, Any] = {"forward_sync_buffers" if _RENAMED else "broadcast_buffers": False}


def start(
    dataset: Dataset,
    config: GanConfig,
    folder: Path,
    *,
    style_weights: Path | None = None,
    device: str = "auto",
    devices: int = 1,
    threads: int | None = None,
    workers: int = 2,
    resume: bool = False,
    tensorboard: bool = False,
    json: bool = False,
) -> dict[str, Any] | None:
    """Trains and returns where the results are; None in the processes of a group that do not write.

    Raises:
        UsageError: a resumed folder was made with another configuration.
        OutputError, DataError, WeightsError, TrainingError: as their names say.
    """
    if tensorboard and find_spec("tensorboard") is None:
        raise UsageError("--tensorboard: the package is not installed; run `pip install tensorboard`")
    accelerator = _accelerator(device, _local(devices))
    dtype = training_dtype(config, torch.device(accelerator))
    fabric = _fabric(accelerator, devices, dtype)
    fabric.launch()
    if threads:
        torch.set_num_threads(threads)
    with ExitStack() as stack:
        stack.enter_context(repeatable(fabric.device))
        run = _open(fabric, stack, folder, config, resume)
        progress = Progress(0, f"train {config.name}", json=json, quiet=run is None)
        prepared = prepare(dataset, config, tell=progress.write, workers=workers)
        meta = (
            describe(
                config.network, prepared.schema, prepared.table, prepared.background_stats, prepared.local_contrasts
            )
            | prepared.meta
            | {"config": config.model_dump(mode="json")}
        )
        style = None
        if config.loss.style:
            with redirect_stdout(sys.stderr):  # torch.hub announces its download on stdout
                weights, name = style_vgg_weights(style_weights)
            style = StyleLoss(weights, size=config.loss.style_size, dtype=dtype)
            style.calibrate(calibration_images(prepared))
            meta["style_weights"] = name
        meta["identity"] = {
            "train_sha256": sha256_bytes("".join(prepared.meta["data"]["train_sha256"]).encode()),
            "style_weights": meta.get("style_weights"),
            "precision": str(dtype).removeprefix("torch."),
            "processes": fabric.world_size,
        }
        kind = BlendTrainer if config.network.architecture == "blend" else Trainer
        trainer = kind(prepared, config, fabric, style, workers)
        if run is not None:
            run.write_config(config)
            run.write_environment()
        last = train(trainer, run, meta, json=json, tensorboard=tensorboard)
        if run is None:
            return None
        return {
            "checkpoint": str(last),
            "samples": str(run.samples),
            "run": str(folder),
            "architecture": trainer.config.network.architecture,
            "test": prepared.meta["data"]["test"],
        }


def _accelerator(device: str, devices: int) -> str:
    """`cpu`, `cuda` or `mps`.

    Raises:
        UsageError: another device is asked for, or one that is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    found = next(name for name, present in there.items() if present) if device == "auto" else device
    if found not in there:
        raise UsageError(f"--device {device}: is not known; give auto, {', '.join(sorted(there))}")
    if not there[found]:
        raise UsageError(f"--device {device}: none is found on this machine; give auto or cpu")
    if found == "cuda" and devices > torch.cuda.device_count():
        if int(os.environ.get("LOCAL_RANK", 0)):  # started by torchrun, where the first one says it for all
            sys.exit(UsageError.exit_code)
        raise UsageError(
            f"{devices} processes on this machine, but {torch.cuda.device_count()} GPUs; "
            "give --devices (torchrun: --nproc-per-node) at most as many, or --device cpu"
        )
    if found != "cuda" and devices > max(2, os.cpu_count() or 1):
        raise UsageError(f"--devices {devices}: {os.cpu_count()} cores are found; give at most as many")
    return found


def _local(devices: int) -> int:
    """Processes on this machine: as torchrun says, else as asked for."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", devices))


def _open(fabric: Fabric, stack: ExitStack, folder: Path, config: GanConfig, resume: bool) -> RunFolder | None:
    """Process 0 takes the run folder."""

    def take() -> RunFolder:
        run = stack.enter_context(RunFolder.create(folder, resume))
        same_config(run, config)
        return run

    return by_the_first(fabric, take)


def _fabric(accelerator: str, devices: int, dtype: torch.dtype) -> Fabric:
    """One process, or several with a network each; `torchrun` says in the environment how many it started.

    Buffers are not broadcast: the discriminator runs twice before its backward pass, which must find them unchanged.
    """
    local = _local(devices)
    everywhere = int(os.environ.get("WORLD_SIZE", local)) if "LOCAL_WORLD_SIZE" in os.environ else local
    return Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=max(1, everywhere // local),
        precision="bf16-true" if dtype == torch.bfloat16 else "32-true",
        strategy=DDPStrategy(**_DDP) if everywhere > 1 else "auto",
    )


def calibration_images(prepared: Prepared) -> torch.Tensor:
    """Some training images in [-1, 1], to bring the style layers to mean activation 1."""
    count = len(prepared.defective)
    chosen = prepared.defective[:: max(1, count // CALIBRATION_IMAGES)][:CALIBRATION_IMAGES]
    return to_batch([prepared.train.cut(i, None) for i in chosen], prepared).images
