"""Starts a training run: processes, run folder, data, weights; then hands over to `training.loop`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import torch

from classify.config import ClassifierConfig
from classify.data.dataset import Mixture, prepare
from classify.models.checkpoint import neurons
from classify.models.weights import build_network, normalization, pretrained
from classify.training.fit import Fitting
from classify.training.learner import training_dtype
from classify.training.loop import train
from classify.training.schedule import best_epoch
from defects.formats.dataset import Dataset
from engine.commands import Progress
from engine.files.atomic import sha256_bytes
from engine.run.folder import RunFolder, same_config
from engine.runtime.threads import keep_memory
from engine.training.launch import by_the_first, launch_processes, select_accelerator


def weights_source(text: str) -> Literal["imagenet", "none"] | Path:
    """`--weights`: imagenet, none or a file."""
    if text == "imagenet":
        return "imagenet"
    return "none" if text == "none" else Path(text)


def start(
    dataset: Dataset | Mixture,
    config: ClassifierConfig,
    folder: Path,
    *,
    weights: str = "imagenet",
    device: str = "auto",
    devices: int = 1,
    threads: int | None = None,
    resume: bool = False,
    json: bool = False,
) -> dict[str, Any] | None:
    """Trains and returns where the results are; None in the processes of a group that do not write.

    Raises:
        UsageError: a resumed folder has another configuration, or the device is not there.
        DataError: An image or the folder cannot be used.
        OutputError: The run folder is in use or cannot be written.
        WeightsError: Weights cannot be fetched or trusted.
        TrainingError: A loss is not a number.
    """
    keep_memory()
    # The network uses a number format of its own, see `classify.training.learner`.
    fabric = launch_processes(select_accelerator(device, devices), devices)
    if threads:
        torch.set_num_threads(threads)
    with ExitStack() as stack:

        def take() -> RunFolder:
            run = stack.enter_context(RunFolder.create(folder, resume))
            same_config(run, config)
            return run

        run = by_the_first(fabric, take)
        progress = Progress(0, f"train {config.name}", json=json, quiet=run is None)
        prepared = by_the_first(fabric, lambda: prepare(dataset, config, log=progress.write))
        if prepared is None:  # the first process has checked the data and logged
            prepared = prepare(dataset, config)
        network = build_network(config.network, neurons(config.task, prepared.classes), config.train.seed)
        source = weights_source(weights)
        name = by_the_first(fabric, lambda: pretrained(network, config.network, source))
        if name is None:
            name = pretrained(network, config.network, source)
        mean, std = normalization(config.network.name)
        fitting = Fitting(
            network, prepared.train, prepared.val, config.train,
            mean=mean, std=std, preset=config.data.preset, fabric=fabric,
        )  # fmt: skip
        identity = {
            "train_sha256": sha256_bytes("".join(prepared.meta["data"]["train_sha256"]).encode()),
            "weights": name,
            "precision": str(training_dtype(config.train.precision, fabric.device)).removeprefix("torch."),
            "processes": fabric.world_size,
        }
        if run is not None:
            run.write_config(config)
            run.write_environment()
        history = train(fitting, run, config, prepared.meta | {"weights": name, "identity": identity}, json=json)
        if run is None:
            return None
        best = best_epoch(history)
        return {
            "checkpoint": str(run.checkpoints / "best.safetensors"),
            "run": str(folder),
            "epochs": len(history),
            "best_epoch": best,
            "validation": {key: value for key, value in history[best - 1].items() if key.startswith("val_")},
            "train": len(prepared.train),
            "test": prepared.meta["data"]["test"],
        }
