"""`mix-defects report`: the imbalance of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of images, in any layout.")],
    out: Annotated[Path | None, typer.Option(help="Write report.html, its figures and report.json there.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Write masks and guides that fill the strata, for gen-defects.")] = (
        None
    ),
    checkpoint: Annotated[
        Path | None, typer.Option(help="Generator the plan is for: a checkpoint, run folder or generator.json.")
    ] = None,
    size: Annotated[int | None, typer.Option(min=16, help="Measure crops resized to that side, px.")] = None,
    crop: Annotated[int | None, typer.Option(min=8, help="Side of the crops in the image, px.")] = None,
    layout: Annotated[str, typer.Option(help="auto detects it.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of the plan's masks.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Threads.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Classes, pixels, sizes and strata of class x size x brightness, and the imbalance they amount to."""
    import json as json_text

    from augment.balancing.output import write_plan, write_report
    from augment.balancing.plan import make_generation_plan
    from augment.balancing.plan_commands import read_generator
    from augment.balancing.report import imbalance_report
    from defects.formats.dataset import open_dataset
    from defects.images.crops import CropSpec
    from engine.commands import Progress
    from engine.errors import UsageError
    from engine.files.atomic import check_apart

    if crop is not None and size is None:
        raise UsageError("--crop: the size of the resized crops is unknown; give --size too", code="E-mix-no-size")
    for target in (out, plan):
        if target is not None:
            check_apart(target, {"the folder": folder})
    samples = [sample for sample in open_dataset(folder, layout).samples if sample.has_pixels]
    crop_spec = CropSpec(size, crop) if size is not None else None
    with Progress(len(samples), "report", json=json, unit="image") as progress:
        measured = imbalance_report(samples, crop_spec, workers=workers, on_progress=progress.update)
    result: dict[str, Any] = measured.to_dict()
    lines = measured.lines()
    if out is not None:
        page = write_report(measured, out, title=folder.resolve().name)[0]
        lines.append(f"report: {page}")
        result["report"] = str(page)
    if plan is not None:
        generator = read_generator(checkpoint) if checkpoint is not None else None
        same_crops = generator is None and crop_spec is not None
        measures = measured.measures if same_crops else None
        generation = make_generation_plan(samples, crop_spec, generator=generator, seed=seed, measures=measures)
        write_plan(generation, plan)
        lines += [*generation.lines(), f"next: sh {plan}/commands.sh"]
        result["plan"] = generation.to_dict()
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    for line in lines:
        typer.echo(line)
