"""`train-gan DIR`: train a generator on a folder of images and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.commands import run as run_command

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def train_gan_command(
    data: Annotated[Path, typer.Argument(help="Folder with images and masks, in any layout that check-data reads.")],
    out: Annotated[Path | None, typer.Option(help="Run folder to write.  [default: runs/<config>-<folder>]")] = None,
    config: Annotated[
        str | None,
        typer.Option(help="A packaged configuration (magna, magna_paper, ...) or a YAML file.  [default: magna]"),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override, e.g. --set train.epochs=50; repeatable.")
    ] = None,
    layout: Annotated[str, typer.Option(help="Layout of the folder; auto detects it.")] = "auto",
    depth16: Annotated[
        str, typer.Option(help="16-bit images: refuse, or scale 0..65535 to 0..255 on purpose.")
    ] = "refuse",
    style_weights: Annotated[
        Path | None, typer.Option(help="VGG-16 as safetensors; default: torchvision's, downloaded once.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Processes (GPUs); under torchrun leave it.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: torch's.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads that cut crops; changes no byte.")] = 2,
    resume: Annotated[
        bool, typer.Option(help="Complete the run in the folder; with its own configuration where none is given.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Print the resolved configuration and the data; train nothing.")
    ] = False,
    tensorboard: Annotated[bool, typer.Option(help="Write TensorBoard events too (extra: tensorboard).")] = False,
    json: Annotated[bool, typer.Option("--json", help="Progress and result as JSON.")] = False,
) -> None:
    """Train a generator of guided defects.

    Example: train-gan data/tiles --config magna --out runs/tiles
    """
    import logging
    from dataclasses import replace

    from defects.formats.dataset import open_dataset
    from defects.images.decode import at_depth
    from defects.sample import GOOD
    from engine.config import dump_config, load_config
    from engine.run.folder import own_config
    from gan.config import GanConfig
    from gan.training.launch import start

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    given = config is not None or bool(set_)
    resolved = load_config("magna" if config is None else config, GanConfig, set_ or [], folder="gan")
    folder = out or Path("runs") / f"{resolved.name}-{data.resolve().name}"
    if resume and not given:
        resolved = own_config(folder, GanConfig) or resolved
    dataset = open_dataset(data, layout)
    dataset = replace(dataset, samples=at_depth(dataset.samples, depth16))
    if dry_run:
        defective = sum(sample.label != GOOD for sample in dataset.samples)
        typer.echo(dump_config(resolved).rstrip())
        typer.echo(f"# {data}: {len(dataset.samples)} images, {defective} with a defect; layout {dataset.layout}")
        return
    result: dict[str, Any] | None = start(
        dataset,
        resolved,
        folder,
        style_weights=style_weights,
        device=device,
        devices=devices,
        threads=threads,
        workers=workers,
        resume=resume,
        tensorboard=tensorboard,
        json=json,
    )
    if result is not None:
        _print(result, folder, json=json)


def _print(result: dict[str, Any], folder: Path, *, json: bool) -> None:
    if json:
        from json import dumps

        typer.echo(dumps(result))
        return
    typer.echo(f"checkpoint  {result['checkpoint']}")
    typer.echo(f"samples     {result['samples']}")
    options = "--backgrounds DIR" if result["architecture"] == "blend" else "--guide thickness=0.7"
    typer.echo(f"next        gen-defects --checkpoint {folder} --masks DIR {options}")


def train_gan() -> None:
    """Entry point."""
    run_command(app)


if __name__ == "__main__":
    train_gan()
