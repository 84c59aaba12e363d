"""`train-classifier DIR`: train on a folder of images, and the verbs that use a trained classifier."""

from __future__ import annotations

import json as json_text
import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from classify.cli.options import (
    LOGGING,
    Config,
    Data,
    Depth16,
    Device,
    DryRun,
    Json,
    Layout,
    Resume,
    Sets,
    Threads,
    Weights,
)
from classify.cli.predict import evaluate, explain, export, predict, table

Out = Annotated[Path | None, typer.Option(help="Run folder to write.  [default: runs/<config>-<folder>]")]
Rates = Annotated[str, typer.Option(help="Learning rates from,to.  [default: 1e-4,1e-2; transformers 1e-5,1e-4]")]
RENAMED = {"--part": "--split"}


def train(
    data: Data,
    out: Out = None,
    config: Config = None,
    set_: Sets = None,
    layout: Layout = "auto",
    depth16: Depth16 = "refuse",
    weights: Weights = "imagenet",
    device: Device = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Processes (GPUs); under torchrun leave it.")] = 1,
    threads: Threads = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train a classifier whose forward pass also gives a map; the verb may be left out.

    Example: train-classifier data/tiles --config quick --out runs/tiles
    """
    from classify.config import ClassifierConfig
    from classify.data.dataset import open_data, prepare
    from classify.training.launch import start
    from engine.config import dump_config, load_config
    from engine.files.atomic import check_apart
    from engine.run.folder import own_config

    logging.basicConfig(**LOGGING)
    resolved = load_config(config or "quick", ClassifierConfig, set_ or [], folder="classify")
    folder = out or Path("runs") / f"{resolved.name}-{data.resolve().name}"
    check_apart(folder, {"the folder of images": data})
    if resume and config is None and not set_:
        resolved = own_config(folder, ClassifierConfig) or resolved
    dataset = open_data(data, layout, depth16)
    if dry_run:
        typer.echo(dump_config(resolved).rstrip())
        prepare(dataset, resolved, log=lambda line: typer.echo(f"# {line}"))
        return
    result: dict[str, Any] | None = start(
        dataset, resolved, folder,
        weights=weights, device=device, devices=devices, threads=threads, resume=resume, json=json,
    )  # fmt: skip
    if result is None:
        return
    scores = ", ".join(f"{name.removeprefix('val_')} {value:.4f}" for name, value in result["validation"].items())
    lines = [
        f"checkpoint  {result['checkpoint']}",
        f"best epoch  {result['best_epoch']} of {result['epochs']}" + (f" (validation {scores})" if scores else ""),
        f"next        train-classifier evaluate --data {data} --model {folder}",
    ]
    typer.echo(json_text.dumps(result) if json else "\n".join(lines))


def search(
    data: Data,
    out: Out = None,
    config: Config = None,
    set_: Sets = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials in all.")] = 10,
    rates: Rates = "",
    batches: Annotated[str, typer.Option(help="Batch sizes to select from.")] = "32,64",
    layout: Layout = "auto",
    depth16: Depth16 = "refuse",
    weights: Weights = "imagenet",
    threads: Threads = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Search the learning rate and batch size of the best validation accuracy (TPE).

    Example: train-classifier search data/tiles --config thesis_p2_cnn --out runs/search
    """
    from classify.config import ClassifierConfig
    from classify.data.dataset import open_data, prepare
    from classify.training.launch import weights_source
    from classify.training.search import parse_space
    from classify.training.search import search as run_search
    from engine.commands import Progress
    from engine.config import load_config
    from engine.files.atomic import check_apart

    logging.basicConfig(**LOGGING)
    resolved = load_config(config or "quick", ClassifierConfig, set_ or [], folder="classify")
    folder = out or Path("runs") / f"search-{resolved.name}-{data.resolve().name}"
    check_apart(folder, {"the folder of images": data})
    space = parse_space(rates, batches, resolved.network.name)
    progress = Progress(0, f"search {resolved.name}", json=json)
    prepared = prepare(open_data(data, layout, depth16), resolved, log=progress.write)
    best = run_search(
        prepared, resolved, folder, space,
        trials=trials, weights=weights_source(weights), threads=threads, resume=resume, log=progress.write,
    )  # fmt: skip
    lines = [
        f"best        rate {best['learning_rate']:.2e}, batch {best['batch_size']} (trial {best['trial']})",
        f"accuracy    {best['val_accuracy']:.4f} on validation, {best['trials']} trials",
        f"next        train-classifier {data} --config {best['config']} --out RUN",
    ]
    typer.echo(json_text.dumps(best) if json else "\n".join(lines))


DEFAULT = "train"


class _Bare(TyperGroup):
    """Trains without a verb; `train` may be written, too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(add_completion=False, rich_markup_mode=None, cls=_Bare, no_args_is_help=True)
for command in (train, search, predict, evaluate, explain, export, table):
    app.command()(command)


@app.callback()
def main() -> None:
    """Train a classifier whose forward pass also gives a map: train-classifier DIR --config NAME --out RUN.

    Without a verb it trains; see `train-classifier train --help`.
    """


def train_classifier() -> None:
    """Entry point."""
    from engine.commands import run

    run(app, renamed=RENAMED)


if __name__ == "__main__":
    train_classifier()
