"""`mix-defects export`: a mixed set in the forms that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    folder: Annotated[Path, typer.Argument(help="Folder that mix-defects wrote, or any sample folder.")],
    to: Annotated[str, typer.Option(help="mvtec, coco, yolo, webdataset: any of them, by commas.")],
    out: Annotated[Path, typer.Option(help="A folder for each format is written in it.")] = Path("runs/exports"),
    workers: Annotated[int, typer.Option(min=1, help="Threads.")] = 2,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Write a mixed set as MVTec AD, COCO, YOLO segmentation or WebDataset shards."""
    import json as json_text

    from augment.exports.export import export as write
    from augment.exports.rows import open_folder
    from augment.mixing.output import check_apart
    from engine.commands import Progress

    check_apart(out, {"the folder": folder})
    formats = [part.strip() for part in to.split(",") if part.strip()]
    total = sum(open_folder(folder).counts.values()) * len(formats)
    with Progress(total, "export", json=json, unit="image") as progress:
        result: dict[str, Any] = write(
            folder, out, formats, resume=resume, workers=workers, on_progress=progress.update
        )
    result |= {"out": str(out)}
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    told = ", ".join(f"{number} {split}" for split, number in result["splits"].items())
    typer.echo(f"{result['images']} images ({told}) as {', '.join(formats)} in {out}")
    if result.get("mvtec_left_out"):
        left = ", ".join(f"{number} {split}" for split, number in result["mvtec_left_out"].items())
        typer.echo(f"mvtec: {left} images left out: that form has no validation and no defects to train on")
