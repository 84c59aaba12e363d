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
    from_run: Annotated[
        Path | None,
        typer.Option(help="Instead: the masks of the images of --data that this run of train-gan was trained on."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="With --from-run: the folder that the run was trained on.")] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="With --from-run: masks of whole images, for --backgrounds, not crops.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a folder begun before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written; write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Write masks for `gen-defects --masks`: procedural ones, or those of a training run."""
    import json as json_text

    from defects.synthetic.mask_files import shape_spec, write_masks
    from engine.commands import Progress
    from engine.errors import UsageError

    if from_run is not None or data is not None:
        if from_run is None or data is None:
            raise UsageError("--from-run and --data: belong together; give both", code="E-gen-masks-from-run")
        _from_run(from_run, data, out, whole=whole, json=json)
        return
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


def _from_run(run: Path, data: Path, out: Path, *, whole: bool, json: bool) -> None:
    import json as json_text

    from defects.formats.dataset import open_dataset
    from defects.formats.folders import write_masks
    from defects.provenance import Provenance
    from engine.checkpoint import find_checkpoint, load_checkpoint, stated_sha256
    from engine.errors import DataError, OutputError

    if out.is_dir() and any(out.iterdir()):
        raise OutputError(f"{out}: is not empty; choose another --out", code="E-out-not-empty")
    file = find_checkpoint(run)
    provenance = Provenance.from_checkpoint(load_checkpoint(file)[1], stated_sha256(file))
    held_out = set(provenance.test)
    samples = [sample for sample in open_dataset(data).samples if sample.name not in held_out]
    count = write_masks(samples, None if whole else provenance.crop_spec, out)
    if not count:
        raise DataError(
            f"{data}: no training image of {run} has a defect; give the run's own data", code="E-mask-missing"
        )
    if json:
        typer.echo(json_text.dumps({"out": str(out), "count": count, "held_out": len(held_out)}))
        return
    typer.echo(
        f"{out}: {count} masks of training images, one folder a class; the {len(held_out)} held out are left out"
    )
    typer.echo(f"next: gen-defects --checkpoint {run} --masks {out} --guide thickness=measured")


def gen_masks() -> None:
    """Entry point."""
    from engine.commands import run

    run(app, renamed={"--kind": "--class"})
