"""`mix-defects report`: which imbalance a data set suffers from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of images, in any layout.")],
    out: Annotated[Path | None, typer.Option(help="Write report.html, its pictures and report.json there.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Write masks and guides that fill the cells, for gen-defects.")] = (
        None
    ),
    checkpoint: Annotated[
        Path | None, typer.Option(help="Generator the plan is for: a checkpoint, run folder or generator.json.")
    ] = None,
    size: Annotated[int | None, typer.Option(min=16, help="Measure squares of that side, px; whole else.")] = None,
    window: Annotated[int | None, typer.Option(min=8, help="Px of a photograph in a square's side.")] = None,
    layout: Annotated[str, typer.Option(help="auto finds it.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of the plan's masks.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Threads.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Classes, pixels, sizes and cells of kind x size x brightness, and what imbalance that amounts to."""
    import json as json_text

    from augment.balancing.output import write_plan, write_report
    from augment.balancing.plan import make_generation_plan as make_plan
    from augment.balancing.plan_commands import read_generator
    from augment.balancing.report import imbalance_report
    from augment.mixing.output import check_apart
    from defects.formats.dataset import open_dataset
    from defects.images.crops import CropSpec
    from engine.commands import Progress
    from engine.errors import UsageError

    if window is not None and size is None:
        raise UsageError("--window: how many px the squares get is not known; give --size too")
    for written_to in (out, plan):
        if written_to is not None:
            check_apart(written_to, {"the folder": folder})
    samples = [sample for sample in open_dataset(folder, layout).samples if sample.has_pixels]
    crop_spec = CropSpec(size, window) if size is not None else None
    with Progress(len(samples), "report", json=json, unit="image") as progress:
        found = imbalance_report(samples, crop_spec, workers=workers, on_progress=progress.update)
    result: dict[str, Any] = found.to_dict()
    lines = found.lines()
    if out is not None:
        written = write_report(found, out, title=folder.resolve().name)
        lines.append(f"report: {written[0]}")
        result["report"] = str(written[0])
    if plan is not None:
        generator = read_generator(checkpoint) if checkpoint is not None else None
        same = generator is None and crop_spec is not None
        wishes = make_plan(
            samples, crop_spec, generator=generator, seed=seed, measures=found.measures if same else None
        )
        write_plan(wishes, plan)
        lines += [*wishes.lines(), f"next: sh {plan}/commands.sh"]
        result["plan"] = wishes.to_dict()
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    for line in lines:
        typer.echo(line)
