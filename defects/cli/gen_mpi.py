"""`gen-mpi`: a data set of procedural magnetic-particle images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 1000,
    size: Annotated[int, typer.Option(help="Side of an image, px.")] = 128,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    good_fraction: Annotated[float, typer.Option(help="Share of images without a defect.")] = 0.25,
    classes: Annotated[
        str, typer.Option(help="Defect classes, by commas: crack, scratch, pit, spot. Twice is twice as often.")
    ] = "crack",
    thickness: Annotated[str | None, typer.Option(help="Width range, px; by default scaled to the size.")] = None,
    brightness: Annotated[str, typer.Option(help="Brightness range within 0 to 1.")] = "0..1",
    per_part: Annotated[int, typer.Option(help="Images of one part (one group).")] = 3,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a folder begun before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Make fluorescent magnetic-particle images of fasteners, with masks and exact guide values."""
    import json as json_text
    import time

    from defects.attributes.request import parse_range
    from defects.synthetic.mpi_dataset import MpiPlan, dataset
    from engine.commands import Progress

    plan = MpiPlan(
        size=size,
        seed=seed,
        good_fraction=good_fraction,
        classes=tuple(class_name.strip() for class_name in classes.split(",") if class_name.strip()),
        thickness=parse_range(thickness, "--thickness") if thickness else None,
        brightness=parse_range(brightness, "--brightness"),
        per_part=per_part,
    )
    labels: dict[str, int] = {}
    for index in range(count):
        label = plan.settings(index).label
        labels[label] = labels.get(label, 0) + 1
    written, seconds = 0, 0.0
    if not dry_run:
        start = time.perf_counter()
        with Progress(count, "gen-mpi", json=json, unit="image") as progress:
            written = dataset(out, count, plan=plan, resume=resume, on_progress=progress.update)
        seconds = time.perf_counter() - start
    if json:
        row = {"out": str(out), "count": count, "written": written, "labels": labels, "seconds": round(seconds, 2)}
        typer.echo(json_text.dumps({**row, "dry_run": dry_run, "settings": plan.to_dict()}))
        return
    by_class = ", ".join(f"{number} {label}" for label, number in sorted(labels.items()))
    if dry_run:
        typer.echo(f"would write {count} images of {size} x {size} px ({by_class}) to {out}")
        return
    typer.echo(f"{out}: {count} images of {size} x {size} px ({by_class}), {written} written in {seconds:.1f} s")
    typer.echo(f"next: train-gan {out}")


def gen_mpi() -> None:
    """Entry point."""
    from engine.commands import run

    run(app, renamed={"--kinds": "--classes"})
