"""Writes the file of a bundled generator from a run: `python -m gan.cli.release RUN STEM --license TEXT`.

The averaged weights are rounded to float16, which halves the file and moves no pixel by more than the float32 network's
own bfloat16 form does; the description has all that `gen-defects` and a leak check need.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.commands import run

app = typer.Typer(add_completion=False, rich_markup_mode=None)

RENAMED = {"--licence": "--license"}


@app.command()
def release(
    checkpoint: Annotated[Path, typer.Argument(help="Run folder or checkpoint.")],
    stem: Annotated[Path, typer.Argument(help="Where to write: path without extension.")],
    license: Annotated[str, typer.Option(help="License of the data and so of the weights.")],
) -> None:
    """Write a small, complete checkpoint of a trained generator."""
    import torch

    from engine.checkpoint import load_checkpoint, save_checkpoint

    tensors, meta = load_checkpoint(checkpoint)
    small = {name: t.to(torch.float16) if t.is_floating_point() else t for name, t in tensors.items()}
    file = save_checkpoint(stem, small, meta | {"licence": license, "stored": "float16"})
    typer.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB, epoch {meta['epoch']}")


if __name__ == "__main__":
    run(app, renamed=RENAMED)
