"""Starts a training run: processes and devices, run folder, data, weights; then hands over to `gan.train`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from defects.layouts.dataset import Dataset
from engine.config import dump_config
from engine.errors import UsageError
from engine.run import RunFolder
from engine.weights import style_vgg_weights
from gan.bundle import describe
from gan.config import GanConfig
from gan.prepare import Prepared, prepare
from gan.style import StyleLoss
from gan.train import Trainer, to_batch, train, training_dtype

CALIBRATION_IMAGES = 16


def start(
    dataset: Dataset,
    config: GanConfig,
    folder: Path,
    *,
    style_weights: Path | None = None,
    device: str = "auto",
    devices: int = 1,
    resume: bool = False,
    tensorboard: bool = False,
    json: bool = False,
) -> dict[str, Any] | None:
    """Trains and returns where the results are; None in the processes of a group that do not write.

    Raises:
        UsageError: a resumed folder was made with another configuration.
        OutputError, DataError, WeightsError, TrainingError: as their names say.
    """
    accelerator = device if device in ("auto", "cpu", "cuda", "mps") else "auto"
    target = torch.device(
        "cuda" if torch.cuda.is_available() and device in ("auto", "cuda") else "cpu" if device == "auto" else device
    )
    dtype = training_dtype(config, target)
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        precision="bf16-true" if dtype == torch.bfloat16 else "32-true",
        strategy="ddp" if devices > 1 else "auto",
    )
    fabric.launch()
    with ExitStack() as stack:
        run = stack.enter_context(RunFolder.create(folder, resume)) if fabric.is_global_zero else None
        if run is not None:
            _same_config(run, config)
        prepared = prepare(dataset, config, tell=fabric.print)
        meta = (
            describe(config.network, prepared.schema, prepared.table)
            | prepared.meta
            | {"config": config.model_dump(mode="json")}
        )
        style = None
        if config.loss.style:
            weights, name = style_vgg_weights(style_weights)
            style = StyleLoss(weights, size=config.loss.style_size, dtype=dtype)
            style.calibrate(calibration_images(prepared))
            meta["style_weights"] = name
        trainer = Trainer(prepared, config, fabric, style)
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
            "test": prepared.meta["data"]["test"],
        }


def calibration_images(prepared: Prepared) -> torch.Tensor:
    """Some training images in [-1, 1], to bring the style layers to mean activation 1."""
    count = len(prepared.defective)
    chosen = prepared.defective[:: max(1, count // CALIBRATION_IMAGES)][:CALIBRATION_IMAGES]
    return to_batch([prepared.train.cut(i, None) for i in chosen], prepared).images


def _same_config(run: RunFolder, config: GanConfig) -> None:
    if run.config.exists() and run.config.read_text(encoding="utf-8") != dump_config(config):
        raise UsageError(
            f"{run.config}: was made with another configuration; use the same one to resume, or another --out"
        )
