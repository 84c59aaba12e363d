"""Starts a training run: processes and devices, run folder, data, weights; then hands over to `gan.training.loop`."""

from __future__ import annotations

import sys
from contextlib import ExitStack, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from defects.formats.dataset import Dataset
from engine.commands import Progress
from engine.errors import UsageError
from engine.files.atomic import sha256_bytes
from engine.run.folder import RunFolder, same_config
from engine.runtime.device import repeatable
from engine.training.launch import by_the_first, launch_processes, select_accelerator
from engine.weights.imagenet import style_vgg_weights
from gan.checkpoint import describe
from gan.config import GanConfig, MagnaLossConfig
from gan.data.dataset import Prepared, prepare
from gan.data.loader import to_batch
from gan.losses.style import StyleLoss
from gan.training.loop import train
from gan.training.registry import build_trainer
from gan.training.trainer import training_dtype

CALIBRATION_IMAGES = 16


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
        UsageError: A resumed folder was begun with another configuration.
        DataError: An image or the folder cannot be used.
        OutputError: The run folder is in use or cannot be written.
        WeightsError: Weights cannot be fetched or trusted.
        TrainingError: A loss is not a number.
    """
    if tensorboard and find_spec("tensorboard") is None:
        raise UsageError(
            "--tensorboard: the package is not installed; run `pip install tensorboard`", code="E-train-no-tensorboard"
        )
    accelerator = select_accelerator(device, devices)
    dtype = training_dtype(config, torch.device(accelerator))
    fabric = launch_processes(accelerator, devices, dtype, broadcast_buffers=False)
    if threads:
        torch.set_num_threads(threads)
    with ExitStack() as stack:
        stack.enter_context(repeatable(fabric.device))
        run = _open(fabric, stack, folder, config, resume)
        progress = Progress(0, f"train {config.name}", json=json, quiet=run is None)
        prepared = prepare(dataset, config, log=progress.write, workers=workers)
        style, name = _style_loss(config, prepared, style_weights, dtype)
        identity = {
            "train_sha256": sha256_bytes("".join(prepared.meta["data"]["train_sha256"]).encode()),
            "style_weights": name,
            "precision": str(dtype).removeprefix("torch."),
            "processes": fabric.world_size,
        }
        meta = (
            describe(
                config.network, prepared.schema, prepared.table, prepared.background_stats, prepared.local_contrasts
            )
            | prepared.meta
            | {"config": config.model_dump(mode="json")}
            | ({"style_weights": name} if name else {})
            | {"identity": identity}
        )
        trainer = build_trainer(prepared, config, fabric, style, workers)
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


def _open(fabric: Fabric, stack: ExitStack, folder: Path, config: GanConfig, resume: bool) -> RunFolder | None:
    """Process 0 takes the run folder."""

    def take() -> RunFolder:
        run = stack.enter_context(RunFolder.create(folder, resume))
        same_config(run, config)
        return run

    return by_the_first(fabric, take)


def _style_loss(
    config: GanConfig, prepared: Prepared, weights: Path | None, dtype: torch.dtype
) -> tuple[StyleLoss | None, str | None]:
    """The calibrated style loss and the name of its weights; None where it has no weight."""
    if not isinstance(config.loss, MagnaLossConfig) or not config.loss.style:
        return None, None
    with redirect_stdout(sys.stderr):  # torch.hub announces its download on stdout
        tensors, name = style_vgg_weights(weights)
    style = StyleLoss(tensors, size=config.loss.style_size, dtype=dtype)
    style.calibrate(calibration_images(prepared))
    return style, name


def calibration_images(prepared: Prepared) -> torch.Tensor:
    """Some training images in [-1, 1], to bring the style layers to mean activation 1."""
    count = len(prepared.defective)
    selected = prepared.defective[:: max(1, count // CALIBRATION_IMAGES)][:CALIBRATION_IMAGES]
    return to_batch([prepared.train.cut(i, None) for i in selected], prepared).images
