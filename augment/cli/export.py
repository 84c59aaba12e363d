"""`mix-defects export`: a data set in the formats that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    folder: Annotated[Path, typer.Argument(help="Folder that mix-defects wrote, or a data set of any layout.")],
    to: Annotated[
        str,
        typer.Option(help="mvtec, coco, yolo, webdataset, bsdata, folders, sample_folder: any of them, by commas."),
    ],
    out: Annotated[Path, typer.Option(help="A folder for each format is written in it.")] = Path("runs/exports"),
    layout: Annotated[str, typer.Option(help="Of the folder; auto detects it.")] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Threads.")] = 2,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Write a data set as MVTec AD, COCO, YOLO segmentation, WebDataset shards or plain folders."""
    import json as json_text

    from defects.formats import export as exporting
    from defects.formats.dataset import open_dataset
    from engine.commands import Progress
    from engine.files.atomic import check_apart

    check_apart(out, {"the folder": folder})
    formats = [name.strip() for name in to.split(",") if name.strip()]
    data = open_dataset(folder, layout)
    with Progress(len(data.samples) * len(formats), "export", json=json, unit="image") as progress:
        written = exporting.export(data, out, formats, resume=resume, workers=workers, on_progress=progress.update)
    result: dict[str, Any] = written.to_dict() | {"out": str(out)}
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    splits = ", ".join(f"{number} {split}" for split, number in written.splits.items())
    typer.echo(f"{written.images} images ({splits}) as {', '.join(formats)} in {out}")
    if written.mvtec_left_out:
        left_out = ", ".join(f"{number} {split}" for split, number in written.mvtec_left_out.items())
        typer.echo(f"mvtec: {left_out} images left out: MVTec AD has no validation split and no defects to train on")
