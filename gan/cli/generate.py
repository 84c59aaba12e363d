"""`gen-defects`: labelled defect images from masks and guide values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    from gan.generation.plan import Plan

app = typer.Typer(add_completion=False)

_SHOWN_WARNINGS = 5


@app.command()
def main(
    masks: Annotated[Path, typer.Option(help="A mask image or a folder of them; a subfolder's name is the kind.")],
    guide: Annotated[
        str,
        typer.Option(
            help="Such as thickness=0.7,brightness=0.2..0.8,background=dark|light; also 6px, random, measured. "
            "What is not given: thickness measured, the rest random."
        ),
    ] = "",
    num: Annotated[int, typer.Option(min=1, help="Images for each mask and each cell of the guide's grid.")] = 1,
    out: Annotated[Path, typer.Option(help="Sample folder to write.")] = Path("runs/defects"),
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint or run folder of train-gan; the bundled generator without it.")
    ] = None,
    labels: Annotated[str, typer.Option(help="mask,coco,yolo,labelme: any of them, separated by commas.")] = "mask",
    format: Annotated[str, typer.Option(help="png, jpg or webp; label masks are always PNG.")] = "png",
    size: Annotated[int | None, typer.Option(help="Side of the images, px; the generator's own without it.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    guide_mode: Annotated[
        str, typer.Option(help="grid: every combination of listed values; draw: one of them for each image.")
    ] = "grid",
    same_noise: Annotated[
        bool, typer.Option("--same-noise", help="Image i of every mask and cell from the same noise, to compare.")
    ] = False,
    backgrounds: Annotated[
        Path | None,
        typer.Option(
            help="Good images, any layout, to draw the defects into: by a blend_... run, or the bundled one for pitted "
            "steel."
        ),
    ] = None,
    roi: Annotated[
        Path | None,
        typer.Option(help="Where defects may lie: one mask, or a folder with a mask for each background; moves them."),
    ] = None,
    inpaint: Annotated[
        bool, typer.Option("--inpaint", help="Take defective backgrounds too, with their defects painted out.")
    ] = False,
    move: Annotated[
        bool, typer.Option("--move", help="Put masks anywhere in a background, not where they were drawn.")
    ] = False,
    any_ground: Annotated[
        bool,
        typer.Option("--any-ground", help="Take any background, not one like those on which real defects were seen."),
    ] = False,
    rotate: Annotated[str, typer.Option(help="Turn masks in backgrounds by LOW,HIGH degrees.")] = "0,0",
    scale: Annotated[str, typer.Option(help="Scale masks in backgrounds by LOW,HIGH.")] = "1,1",
    keep_like: Annotated[
        Path | None,
        typer.Option(help="Real images, any layout: keep only what is like those of them the generator learnt from."),
    ] = None,
    min_label_iou: Annotated[
        float | None,
        typer.Option(
            help="Least overlap of a label with what a segmenter of real defects finds; 0: off.  [default: 0.3]"
        ),
    ] = None,
    min_realism: Annotated[
        float | None,
        typer.Option(
            help="Least realism, 1 being that of a typical unseen real image of its kind; 0: off.  [default: 0.6]"
        ),
    ] = None,
    match_difficulty: Annotated[
        bool,
        typer.Option(
            "--match-difficulty",
            help="In place of --min-label-iou: labels as easy or hard to find as real ones of their kind and size.",
        ),
    ] = False,
    tries: Annotated[int | None, typer.Option(help="Candidates for each image at most.  [default: 4]")] = None,
    keep_best: Annotated[
        bool,
        typer.Option("--keep-best", help="Where none passes, keep the best and mark it, instead of leaving it out."),
    ] = False,
    label: Annotated[str, typer.Option(help="Name of the defect; else the kind guide or the mask's folder.")] = "",
    batch_size: Annotated[int, typer.Option(min=1, help="Images recorded at once; changes no byte.")] = 32,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one for each core without it.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto: bf16 where the hardware has it; bf16 or fp32.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be made.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Make images of defects, with labels that are true of them, from masks and guide values."""
    import json as json_text
    import os

    from engine.errors import UsageError
    from gan.generation.jobs import Request

    names = tuple(name.strip() for name in labels.split(",") if name.strip())
    request = Request(guide, num, size, seed, cast(Any, format), names, guide_mode, same_noise, label)

    from engine.commands import Progress
    from gan.filtering.report import filter_lines, filter_result
    from gan.filtering.setup import ask, open_filter
    from gan.generation.plan import make_plan
    from gan.generation.run import check_apart, check_free, generate

    check_apart("--masks", masks, out)
    count = workers or len(os.sched_getaffinity(0))
    plan: Plan
    if backgrounds is None:
        placing = {
            "--roi": roi is not None,
            "--move": move,
            "--inpaint": inpaint,
            "--any-ground": any_ground,
            "--rotate": rotate != "0,0",
            "--scale": scale != "1,1",
        }
        if given := [flag for flag, there in placing.items() if there]:
            raise UsageError(f"{given[0]}: places masks in backgrounds; give --backgrounds DIR, or leave it out")
        plan = make_plan(request, masks, checkpoint, device=device, precision=precision, workers=count)
    else:
        from gan.blending.placement import Placement, parse_range
        from gan.blending.setup import make_blend_plan

        check_apart("--backgrounds", backgrounds, out)
        placement = Placement(move, parse_range("--rotate", rotate), parse_range("--scale", scale))
        plan = make_blend_plan(
            request,
            masks,
            backgrounds,
            checkpoint,
            placement=placement,
            roi=roi,
            inpaint=inpaint,
            any_ground=any_ground,
            device=device,
            precision=precision,
            workers=count,
        )

    def warn(text: str) -> None:
        typer.echo(json_text.dumps({"warning": text}, ensure_ascii=False) if json else f"warning: {text}", err=True)

    for line in _warnings(plan):
        warn(line)
    wanted = {
        "--min-label-iou": min_label_iou,
        "--min-realism": min_realism,
        "--match-difficulty": match_difficulty,
        "--tries": tries,
        "--keep-best": keep_best,
    }
    asked = ask(plan, keep_like, wanted, out)
    if asked is not None and not dry_run:
        check_free(out, resume=resume)
        plan = open_filter(plan, asked, lambda total, name, unit: Progress(total, name, json=json, unit=unit))
    result: dict[str, Any] = {"out": str(out), "images": len(plan.jobs), "dry_run": dry_run, **plan.description}
    if asked is not None:
        result["filter"] = asked.describe()
    if not dry_run:
        with Progress(len(plan.jobs), "gen-defects", json=json, unit="image") as progress:
            done = generate(plan, out, resume=resume, batch_size=batch_size, workers=count, on_progress=progress.update)
        for line in done.remarks:
            warn(line)
        result |= {"images": done.images, "written": done.written, "seconds": round(done.seconds, 3)}
        result["next"] = f"check-data {out}"
        if asked is not None:
            result["filter"] |= filter_result(out, asked.rule)
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    lines = _report(result, kinds_by_folder=plan.jobs.kinds_by_folder)
    if asked is not None:
        lines[1:1] = filter_lines(result["filter"], asked.rule)
    for line in lines:
        typer.echo(line)


def _warnings(plan: Plan) -> list[str]:
    lines = [*plan.notes, *(str(issue) for issue in plan.warnings[:_SHOWN_WARNINGS])]
    more = len(plan.warnings) - _SHOWN_WARNINGS
    return [*lines, f"and {more} more masks like these"] if more > 0 else lines


def _report(result: dict[str, Any], *, kinds_by_folder: bool) -> list[str]:
    told = dict(result["guide"]) | ({"kind": "as its folder says"} if kinds_by_folder else {})
    guide = ", ".join(f"{name} {value}" for name, value in told.items())
    size = result["size"]
    sides = f"of {size} x {size} px" if isinstance(size, int) else "of their backgrounds' sizes"
    what = (
        f"{result['images']} images {sides} "
        f"from {result['masks']['count']} masks ({guide}; labels {', '.join(result['labels'])})"
    )
    if result["dry_run"]:
        return [f"would write {what} to {result['out']}"]
    rate = result["written"] / max(result["seconds"], 1e-9)
    return [
        f"{result['out']}: {what}",
        f"{result['written']} written in {result['seconds']:.1f} s ({rate:.1f} images/s)",
        f"contact sheet: {result['out']}/preview.png",
        f"next: {result['next']}",
    ]


def gen_defects() -> None:
    """Entry point."""
    from engine.commands import run

    run(app)
