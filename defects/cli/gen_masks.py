"""`gen-masks`: procedural defect masks, white on black."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    class_name: Annotated[str, typer.Option("--class", help="crack, scratch, pit or spot.")] = "crack",
    count: Annotated[int, typer.Option(min=1, help="Number of masks.")] = 20,
    size: Annotated[int, typer.Option(help="Side of a mask, px.")] = 128,
    per_mask: Annotated[str | None, typer.Option(help="Defects in a mask, such as 1..3.")] = None,
    length: Annotated[str | None, typer.Option(help="Length, px, such as 40..90.")] = None,
    width: Annotated[str | None, typer.Option(help="Mean local width, px, such as 2..8.")] = None,
    orientation: Annotated[str, typer.Option(help="Degrees; 0 is horizontal, 90 vertical.")] = "0..180",
    position: Annotated[str, typer.Option(help="any, center, left, right, top, bottom or x0,y0,x1,y1.")] = "any",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a folder begun before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Draw masks of cracks, scratches, pits or spots, ready for `gen-defects --masks`."""
    import json as json_text

    from defects.synthetic.mask_files import shape_spec, write_masks
    from engine.commands import Progress

    spec = shape_spec(class_name, size, per_mask, length, width, orientation, position)
    written = 0
    if not dry_run:
        with Progress(count, "gen-masks", json=json, unit="mask") as progress:
            written = write_masks(out, spec, count, size, seed, resume=resume, on_progress=progress.update)
    if json:
        row = {
            "out": str(out),
            "kind": class_name,
            "count": count,
            "written": written,
            "dry_run": dry_run,
            "size": size,
        }
        typer.echo(json_text.dumps(row))
        return
    ranges = f"width {spec.width[0]:g}..{spec.width[1]:g} px, length {spec.length[0]:g}..{spec.length[1]:g} px"
    if dry_run:
        typer.echo(f"would write {count} {class_name} masks of {size} x {size} px to {out} ({ranges})")
        return
    typer.echo(f"{out}: {count} {class_name} masks of {size} x {size} px ({ranges}), {written} written")
    typer.echo(f"next: gen-defects --masks {out} --guide thickness=0.7")


def gen_masks() -> None:
    """Entry point."""
    from engine.commands import run

    run(app, renamed={"--kind": "--class"})
