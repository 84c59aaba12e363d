"""`train-classifier DIR`: train on a folder of images; and the options that its other verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from classify.cli.predict import evaluate, explain, export, predict, table

Folder = Annotated[
    Path, typer.Argument(help="Folder of images in any layout that check-data reads, or of mix-defects.")
]
Config = Annotated[
    str | None,
    typer.Option(help="A packaged configuration (quick, bsdata_p1, ...) or a YAML file.  [default: quick]"),
]
Sets = Annotated[list[str] | None, typer.Option("--set", help="Override, e.g. --set train.epochs=50; repeatable.")]
Out = Annotated[Path | None, typer.Option(help="Run folder to write.  [default: runs/<config>-<folder>]")]
Layout = Annotated[str, typer.Option(help="Layout of the folder; auto finds it.")]
Depth16 = Annotated[str, typer.Option(help="16-bit images: refuse, or scale 0..65535 to 0..255 on purpose.")]
Weights = Annotated[
    str, typer.Option(help="imagenet; none; or a safetensors file with timm's names or of a classifier.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads; default: torch's.")]
Json = Annotated[bool, typer.Option("--json", help="Progress and result as JSON.")]


def train(
    data: Folder,
    out: Out = None,
    config: Config = None,
    set_: Sets = None,
    layout: Layout = "auto",
    depth16: Depth16 = "refuse",
    weights: Weights = "imagenet",
    device: Device = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Processes (GPUs); under torchrun leave it.")] = 1,
    threads: Threads = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run folder; its own configuration where none is given.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the configuration and the split; train nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Train a classifier whose forward pass also says where; the verb may be left out.

    Example: train-classifier data/tiles --config quick --out runs/tiles
    """
    import json as json_text
    import logging

    from augment.mixing.output import check_apart
    from classify.config import ClassifierConfig
    from classify.data.dataset import open_data, prepare
    from classify.training.launch import start
    from engine.config import dump_config, load_config
    from engine.run.folder import own_config

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    resolved = load_config(config or "quick", ClassifierConfig, set_ or [], folder="classify")
    folder = out or Path("runs") / f"{resolved.name}-{data.resolve().name}"
    check_apart(folder, {"the folder of photographs": data})
    if resume and config is None and not set_:
        resolved = own_config(folder, ClassifierConfig) or resolved
    dataset = open_data(data, layout, depth16)
    if dry_run:
        typer.echo(dump_config(resolved).rstrip())
        prepare(dataset, resolved, tell=lambda line: typer.echo(f"# {line}"))
        return
    result: dict[str, Any] | None = start(
        dataset, resolved, folder,
        weights=weights, device=device, devices=devices, threads=threads, resume=resume, json=json,
    )  # fmt: skip
    if result is None:
        return
    if json:
        typer.echo(json_text.dumps(result))
        return
    told = ", ".join(f"{name.removeprefix('val_')} {value:.4f}" for name, value in result["validation"].items())
    typer.echo(f"checkpoint  {result['checkpoint']}")
    typer.echo(f"best epoch  {result['best_epoch']} of {result['epochs']}" + (f" (validation {told})" if told else ""))
    typer.echo(f"next        train-classifier evaluate {data} --model {folder}")


def search(
    data: Folder,
    out: Out = None,
    config: Config = None,
    set_: Sets = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials in all.")] = 10,
    rates: Annotated[
        str, typer.Option(help="Learning rates from,to.  [default: 1e-4,1e-2; transformers 1e-5,1e-4]")
    ] = "",
    batches: Annotated[str, typer.Option(help="Batch sizes to choose from.")] = "32,64",
    layout: Layout = "auto",
    depth16: Depth16 = "refuse",
    weights: Weights = "imagenet",
    threads: Threads = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted search.")] = False,
    json: Json = False,
) -> None:
    """Look for the learning rate and batch of the best validation accuracy (TPE).

    Example: train-classifier search data/tiles --config thesis_p2_cnn --out runs/search
    """
    import json as json_text
    import logging

    from augment.mixing.output import check_apart
    from classify.config import ClassifierConfig
    from classify.data.dataset import open_data, prepare
    from classify.training.launch import weights_source
    from classify.training.search import Space, space_of
    from classify.training.search import search as look
    from engine.commands import Progress
    from engine.config import load_config
    from engine.errors import UsageError

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    resolved = load_config(config or "quick", ClassifierConfig, set_ or [], folder="classify")
    folder = out or Path("runs") / f"search-{resolved.name}-{data.resolve().name}"
    check_apart(folder, {"the folder of photographs": data})
    usual = space_of(resolved.network.name)
    try:
        given = [float(part) for part in rates.split(",")] if rates else [usual.lowest, usual.highest]
        lowest, highest = given
        space = Space(lowest, highest, tuple(int(part) for part in batches.split(",")))
    except ValueError:
        raise UsageError(f"--rates {rates} --batches {batches}: give numbers, such as 1e-4,1e-2 and 32,64") from None
    progress = Progress(0, f"search {resolved.name}", json=json)
    prepared = prepare(open_data(data, layout, depth16), resolved, tell=progress.write)
    best = look(
        prepared, resolved, folder, space,
        trials=trials, weights=weights_source(weights), threads=threads, resume=resume, tell=progress.write,
    )  # fmt: skip
    if json:
        typer.echo(json_text.dumps(best))
        return
    typer.echo(f"best        rate {best['learning_rate']:.2e}, batch {best['batch_size']} (trial {best['trial']})")
    typer.echo(f"accuracy    {best['val_accuracy']:.4f} on validation, {best['trials']} trials")
    typer.echo(f"next        train-classifier {data} --config {best['config']} --out RUN")


DEFAULT = "train"


class _Bare(TyperGroup):
    """Training without a verb; `train` may be said, too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(add_completion=False, rich_markup_mode=None, cls=_Bare, no_args_is_help=True)
app.command()(train)
app.command()(search)
app.command()(predict)
app.command()(evaluate)
app.command()(explain)
app.command()(export)
app.command()(table)


@app.callback()
def main() -> None:
    """Train a classifier whose forward pass also says where: train-classifier DIR --config NAME --out RUN.

    Without a verb it trains; see `train-classifier train --help`.
    """


def train_classifier() -> None:
    """Entry point."""
    from engine.commands import run

    run(app)


if __name__ == "__main__":
    train_classifier()
