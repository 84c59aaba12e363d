"""`train-classifier DIR`: train on a folder of images; and the options that its other verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["train"]

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
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; default: torch's.")]
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

    from classify.config import ClassifierConfig
    from classify.data import open_data, prepare
    from classify.launch import start
    from classify.train import own_config
    from engine.config import dump_config, load_config

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    resolved = load_config(config or "quick", ClassifierConfig, set_ or [], folder="classify")
    folder = out or Path("runs") / f"{resolved.name}-{data.resolve().name}"
    if resume and config is None and not set_:
        resolved = own_config(folder) or resolved
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
    typer.echo(f"next        train-classifier evaluate {data} --checkpoint {folder}")
