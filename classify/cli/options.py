"""The options that several commands of classifiers share."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

Config = Annotated[
    str | None,
    typer.Option(help="A packaged configuration (quick, bsdata_p1, ...) or a YAML file.  [default: quick]"),
]
Sets = Annotated[list[str] | None, typer.Option("--set", help="Override, e.g. --set train.epochs=50; repeatable.")]
Model = Annotated[Path, typer.Option(help="Run folder of train-classifier, or a checkpoint.")]
Data = Annotated[Path, typer.Argument(help="Folder of images in any layout that check-data reads, or of mix-defects.")]
Real = Annotated[Path, typer.Argument(metavar="REAL", help="Real images, in any layout that check-data reads.")]
Layout = Annotated[str, typer.Option(help="Layout of the folder; auto detects it, plain reads images only.")]
Depth16 = Annotated[str, typer.Option(help="16-bit images: refuse, or scale 0..65535 to 0..255 on purpose.")]
Weights = Annotated[
    str, typer.Option(help="imagenet; none; or a safetensors file with timm's names or of a classifier.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads.  [default: torch's]")]
Resume = Annotated[bool, typer.Option("--resume", help="Resume an interrupted run; finished work is not repeated.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, print the plan, compute nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Progress and result as JSON.")]
Size = Annotated[int, typer.Option(min=32, max=1024, help="Side of the network's input, px.")]
Crop = Annotated[
    int | None,
    typer.Option(min=16, max=65_536, help="Side of the crops in an image, px.  [default: the generator's]"),
]

LOGGING: Any = {"level": logging.WARNING, "format": "%(levelname)s: %(message)s"}
"""Warnings of the library go to stderr: `logging.basicConfig(**LOGGING)`."""
