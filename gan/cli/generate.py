"""`gen-defects`: labeled defect images from masks and guide values."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

if TYPE_CHECKING:
    from gan.filtering.setup import FilterRequest
    from gan.generation.jobs import Request
    from gan.generation.plan import Plan
    from gan.generation.run import RunResult

app = typer.Typer(add_completion=False)

RENAMED = {
    "--any-ground": "--background-sampling uniform",
    "--keep-like": "--filter-with",
    "--tries": "--max-attempts",
    "--keep-best": "--write-best",
}
_LISTED_WARNINGS = 5

# fmt: off
_Masks = Annotated[Path, typer.Option(help="A mask image or a folder of them; a subfolder's name is the class.")]
_Guide = Annotated[str, typer.Option(
    help="Such as thickness=0.7,brightness=0.2..0.8,background=dark|light; also 6px, random, measured. "
    "Not given: thickness measured, the rest random.")]
_Num = Annotated[int, typer.Option(min=1, help="Images for each mask and each point of the guide's grid.")]
_Out = Annotated[Path, typer.Option(help="Sample folder to write.")]
_Checkpoint = Annotated[Path | None, typer.Option(
    help="Checkpoint or run folder of train-gan; the bundled generator without it.")]
_Labels = Annotated[str, typer.Option(help="mask,coco,yolo,labelme: any of them, separated by commas.")]
_Format = Annotated[str, typer.Option(help="png, jpg or webp; label masks are always PNG.")]
_Size = Annotated[int | None, typer.Option(help="Side of the images, px; the generator's own without it.")]
_Seed = Annotated[int, typer.Option(help="Same seed, same bytes.")]
_GuideMode = Annotated[str, typer.Option(
    help="grid: every combination of listed values; draw: one of them for each image.")]
_SameNoise = Annotated[bool, typer.Option(
    "--same-noise", help="Image i of every mask and grid point has the same noise, to compare.")]
_Label = Annotated[str, typer.Option(help="Name of the defect; else the class in the guide or the mask's folder.")]
_Resume = Annotated[bool, typer.Option("--resume", help="Complete an interrupted run.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, report what would be generated.")]
_Json = Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")]
_Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
_Precision = Annotated[str, typer.Option(help="auto: bf16 where the hardware has it; bf16 or fp32.")]
_Workers = Annotated[int | None, typer.Option(min=1, help="Threads; one for each core without it.")]
_BatchSize = Annotated[int, typer.Option(min=1, help="Images recorded at once; changes no byte.")]
_Backgrounds = Annotated[Path | None, typer.Option(
    help="Blend the defects into these good images, any layout, by a blend_... run or the bundled one for pitted "
    "steel.")]
_Roi = Annotated[Path | None, typer.Option(
    help="Where defects may lie: one mask, or a folder with a mask for each background; moves them.")]
_Inpaint = Annotated[bool, typer.Option(
    "--inpaint", help="Take defective backgrounds too, with their defects inpainted.")]
_Move = Annotated[bool, typer.Option("--move", help="Put masks anywhere in a background, not where they are.")]
_Sampling = Annotated[Literal["matched", "uniform"], typer.Option(
    help="Backgrounds like those of real defects of the class, or any.")]
_Rotate = Annotated[str, typer.Option(help="Rotate masks in backgrounds by LOW,HIGH degrees.")]
_Scale = Annotated[str, typer.Option(help="Scale masks in backgrounds by LOW,HIGH.")]
_FilterWith = Annotated[Path | None, typer.Option(
    help="Real images, any layout: write only images similar to those the generator was trained on.")]
_MinLabelIou = Annotated[float | None, typer.Option(
    help="Least overlap of a label with the prediction of a segmenter of real defects; 0: off.  [default: 0.3]")]
_MinRealism = Annotated[float | None, typer.Option(
    help="Least realism, 1 being that of a typical real image of the class; 0: off.  [default: 0.6]")]
_MatchDifficulty = Annotated[
    bool,
    typer.Option(
        "--match-difficulty",
        help="In place of --min-label-iou: labels as easy or hard to find as real ones of their class and size.",
    ),
]
_MaxAttempts = Annotated[int | None, typer.Option(help="Candidates for each image at most.  [default: 4]")]
_WriteBest = Annotated[bool, typer.Option(
    "--write-best", help="Where no candidate passes, write the best and mark it.")]
# fmt: on


@app.command()
def main(
    masks: _Masks,
    guide: _Guide = "",
    num: _Num = 1,
    out: _Out = Path("runs/defects"),
    checkpoint: _Checkpoint = None,
    labels: _Labels = "mask",
    size: _Size = None,
    seed: _Seed = 0,
    resume: _Resume = False,
    dry_run: _DryRun = False,
    json: _Json = False,
    device: _Device = "auto",
    backgrounds: _Backgrounds = None,
    move: _Move = False,
    rotate: _Rotate = "0,0",
    scale: _Scale = "1,1",
    roi: _Roi = None,
    inpaint: _Inpaint = False,
    background_sampling: _Sampling = "matched",
    filter_with: _FilterWith = None,
    min_label_iou: _MinLabelIou = None,
    min_realism: _MinRealism = None,
    match_difficulty: _MatchDifficulty = False,
    max_attempts: _MaxAttempts = None,
    write_best: _WriteBest = False,
    label: _Label = "",
    format: _Format = "png",
    guide_mode: _GuideMode = "grid",
    same_noise: _SameNoise = False,
    precision: _Precision = "auto",
    workers: _Workers = None,
    batch_size: _BatchSize = 32,
) -> None:
    """Generate images of defects, with labels that are true of them, from masks and guide values."""
    import os

    from engine.commands import Progress
    from gan.generation.jobs import Request
    from gan.generation.run import generate

    names = tuple(name.strip() for name in labels.split(",") if name.strip())
    request = Request(guide, num, size, seed, cast(Any, format), names, guide_mode, same_noise, label)
    threads = workers or len(os.sched_getaffinity(0))
    runtime = {"device": device, "precision": precision, "workers": threads}
    placing = {
        "--roi": roi, "--move": move, "--inpaint": inpaint, "--rotate": rotate, "--scale": scale,
        "--background-sampling": background_sampling,
    }  # fmt: skip
    plan = _plan(request, masks, backgrounds, checkpoint, placing, out, runtime)
    _warn([*plan.notes, *_mask_warnings(plan)], json=json)
    options = {
        "--min-label-iou": min_label_iou, "--min-realism": min_realism, "--match-difficulty": match_difficulty,
        "--max-attempts": max_attempts, "--write-best": write_best,
    }  # fmt: skip
    plan, filtering = _filtered(plan, filter_with, options, out, resume=resume, dry_run=dry_run, json=json)
    result: RunResult | None = None
    if not dry_run:
        with Progress(len(plan.jobs), "gen-defects", json=json, unit="image") as progress:
            result = generate(
                plan, out, resume=resume, batch_size=batch_size, workers=threads, on_progress=progress.update
            )
        _warn(result.warnings, json=json)
    _print(plan, out, result, filtering, json=json)


def _plan(
    request: Request,
    masks: Path,
    backgrounds: Path | None,
    checkpoint: Path | None,
    placing: dict[str, Any],
    out: Path,
    runtime: dict[str, Any],
) -> Plan:
    """The plan of whole images or, with backgrounds, of blended ones."""
    from engine.errors import UsageError
    from engine.files.atomic import check_apart

    check_apart(out, {"--masks": masks, "--backgrounds": backgrounds})
    if backgrounds is None:
        from gan.generation.plan import make_plan

        given = [flag for flag, value in placing.items() if value not in (None, False, "0,0", "1,1", "matched")]
        if given:
            raise UsageError(
                f"{given[0]}: places masks in backgrounds; give --backgrounds DIR, or leave it out",
                code="E-generate-needs-backgrounds",
            )
        return make_plan(request, masks, checkpoint, **runtime)
    from gan.blending.placement import Placement
    from gan.blending.plan import make_blend_plan

    placement = Placement(
        placing["--move"],
        parse_pair("--rotate", placing["--rotate"]),
        parse_pair("--scale", placing["--scale"]),
        placing["--background-sampling"] == "uniform",
    )
    return make_blend_plan(
        request,
        masks,
        backgrounds,
        checkpoint,
        placement=placement,
        roi=placing["--roi"],
        inpaint=placing["--inpaint"],
        **runtime,
    )


def parse_pair(flag: str, text: str) -> tuple[float, float]:
    """LOW,HIGH of a flag.

    Raises:
        UsageError: It is not two numbers.

    >>> parse_pair("--scale", "0.8,1.2")
    (0.8, 1.2)
    """
    from engine.errors import UsageError

    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        message = f"{flag}: {text!r} is not two numbers; write them as LOW,HIGH"
        raise UsageError(message, code="E-blend-range") from None
    return low, high


def _filtered(
    plan: Plan, real: Path | None, options: dict[str, Any], out: Path, *, resume: bool, dry_run: bool, json: bool
) -> tuple[Plan, FilterRequest | None]:
    """The plan with a filter behind it, where one is requested."""
    from engine.errors import UsageError

    given = {flag: value for flag, value in options.items() if value is not None and value is not False}
    if real is None:
        if given:
            raise UsageError(
                f"{next(iter(given))}: filters by real images; give --filter-with DIR, or leave it out",
                code="E-filter-no-images",
            )
        return plan, None
    from engine.commands import Progress
    from engine.run.sample_folder import check_free
    from gan.filtering.setup import open_filter, request_filter

    request = request_filter(plan, real, given, out)
    if dry_run:
        return plan, request
    check_free(out, resume=resume)
    return open_filter(plan, request, lambda total, name, unit: Progress(total, name, json=json, unit=unit)), request


def _warn(lines: list[str] | tuple[str, ...], *, json: bool) -> None:
    for line in lines:
        typer.echo(json_text.dumps({"warning": line}, ensure_ascii=False) if json else f"warning: {line}", err=True)


def _mask_warnings(plan: Plan) -> list[str]:
    lines = [str(issue) for issue in plan.warnings[:_LISTED_WARNINGS]]
    more = len(plan.warnings) - _LISTED_WARNINGS
    return [*lines, f"and {more} more masks like these"] if more > 0 else lines


def _print(plan: Plan, out: Path, result: RunResult | None, filtering: FilterRequest | None, *, json: bool) -> None:
    """The result as JSON or as lines; None for a dry run."""
    summary: dict[str, Any] = {"out": str(out), "images": len(plan.jobs), "dry_run": result is None}
    summary |= plan.description
    if filtering is not None:
        from gan.filtering.report import filter_lines, filter_result

        summary["filter"] = filtering.describe()
    if result is not None:
        summary |= {"images": result.images, "written": result.written, "seconds": round(result.seconds, 3)}
        summary["next"] = f"check-data {out}"
        if filtering is not None:
            summary["filter"] |= filter_result(out, filtering.rule)
    if json:
        typer.echo(json_text.dumps(summary, ensure_ascii=False))
        return
    lines = _lines(summary, classes_by_folder=plan.jobs.classes_by_folder)
    if filtering is not None:
        lines[1:1] = filter_lines(summary["filter"], filtering.rule)
    for line in lines:
        typer.echo(line)


def _lines(summary: dict[str, Any], *, classes_by_folder: bool) -> list[str]:
    values = dict(summary["guide"]) | ({"kind": "as its folder says"} if classes_by_folder else {})
    guide = ", ".join(f"{name} {value}" for name, value in values.items())
    size = summary["size"]
    sides = f"of {size} x {size} px" if isinstance(size, int) else "of their backgrounds' sizes"
    what = (
        f"{summary['images']} images {sides} "
        f"from {summary['masks']['count']} masks ({guide}; labels {', '.join(summary['labels'])})"
    )
    if summary["dry_run"]:
        return [f"would write {what} to {summary['out']}"]
    rate = summary["written"] / max(summary["seconds"], 1e-9)
    return [
        f"{summary['out']}: {what}",
        f"{summary['written']} written in {summary['seconds']:.1f} s ({rate:.1f} images/s)",
        f"contact sheet: {summary['out']}/preview.png",
        f"next: {summary['next']}",
    ]


def gen_defects() -> None:
    """Entry point."""
    from engine.commands import run

    run(app, renamed=RENAMED)
