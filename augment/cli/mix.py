"""`mix-defects`: a training set from real, synthetic, pasted and classically augmented images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from augment.cli.catalog import catalog
from augment.cli.export import export
from augment.cli.paste import paste
from augment.cli.report import report

if TYPE_CHECKING:
    from augment.mixing.plan import Plan

ALIAS = "mix"


class _Bare(TyperGroup):
    """The main action without a verb; `mix` may be said, too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args[1:] if args[:1] == [ALIAS] else args)


app = typer.Typer(add_completion=False, cls=_Bare)
app.command()(catalog)
app.command()(paste)
app.command()(report)
app.command()(export)


@app.callback(invoke_without_command=True)
def main(
    ctx: typer.Context,
    real: Annotated[Path | None, typer.Option(help="Folder of photographs, in any layout; needed.")] = None,
    synthetic: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]DIR", help="Folder of gen-defects; may be given again.")
    ] = None,
    pasted: Annotated[Path | None, typer.Option(help="Folder of `mix-defects paste`.")] = None,
    ratio: Annotated[str, typer.Option(help="real:synthetic[:pasted] training images, as 1:2; all without it.")] = "",
    balance: Annotated[str, typer.Option(help="kind,size,brightness: fills the emptiest of these cells first.")] = "",
    augment: Annotated[str, typer.Option(help="Preset or YAML file of classical augmentation; see catalogue.")] = "",
    copies: Annotated[int, typer.Option(min=0, help="Augmented copies beside every training image.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("runs/mixed"),
    val: Annotated[float, typer.Option(help="Share of the photographs for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the photographs for the test.")] = 0.2,
    split_from: Annotated[
        str, typer.Option(help="auto: the generators'; none; column; or a generator.json or checkpoint .json.")
    ] = "auto",
    exposure: Annotated[
        str, typer.Option(help="How often an epoch sees each source, as real=0.5,synthetic=0.3,pasted=0.2.")
    ] = "",
    epoch: Annotated[int | None, typer.Option(min=1, help="Draws of an epoch.")] = None,
    scores: Annotated[list[Path] | None, typer.Option(help="scores.jsonl of bench-fid; may be given again.")] = None,
    min_label_iou: Annotated[float | None, typer.Option(help="Least overlap of label and image, 0 to 1.")] = None,
    min_realism: Annotated[float | None, typer.Option(help="Least realism; 1 is inside the real images.")] = None,
    min_nearest_ratio: Annotated[
        float | None, typer.Option(help="Least distance to the nearest real image; near 0 is a copy.")
    ] = None,
    keep_unscored: Annotated[bool, typer.Option("--keep-unscored", help="Keep images without scores.")] = False,
    size: Annotated[int | None, typer.Option(min=16, help="Side of the squares, px; the generator's.")] = None,
    window: Annotated[int | None, typer.Option(min=8, help="Px of a photograph in a square's side.")] = None,
    native: Annotated[bool, typer.Option("--native", help="Leave all images whole, at their own size.")] = False,
    rename: Annotated[str, typer.Option(help="Kinds to call otherwise, as craks=crack.")] = "",
    layout: Annotated[str, typer.Option(help="Of --real; auto finds it.")] = "auto",
    check: Annotated[str, typer.Option(help="copies: look for held-out images by pixels too; files: checksums.")] = (
        "copies"
    ),
    drop_copies: Annotated[bool, typer.Option("--drop-copies", help="Leave out what leaks; else refuse.")] = False,
    plan: Annotated[Path | None, typer.Option(help="Write masks and guides that fill the cells, for gen-defects.")] = (
        None
    ),
    checkpoint: Annotated[
        Path | None, typer.Option(help="Generator that --plan is for; else that of --synthetic.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one for each core without it.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, show the plan.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Mix photographs with synthetic, pasted and augmented images; only photographs validate and test."""
    if ctx.invoked_subcommand is not None:
        return
    import json as json_text
    import os

    from augment.mixing.materialize import materialize
    from augment.mixing.output import MEMORY, check_apart
    from augment.mixing.planning import make_plan
    from augment.mixing.request import Request, Thresholds, named_folders, pairs, parse_ratio, parse_shares
    from engine.commands import Progress
    from engine.errors import UsageError

    if real is None:
        raise UsageError("--real is missing; give the folder of photographs, or see `mix-defects --help`")
    request = Request(
        real, named_folders(synthetic or []), pasted, layout, parse_ratio(ratio),
        tuple(part.strip() for part in balance.split(",") if part.strip()), augment, copies, val, test, split_from,
        parse_shares("--exposure", exposure), epoch, size, window, native, tuple(scores or ()),
        Thresholds(min_label_iou, min_realism, min_nearest_ratio), keep_unscored, pairs("--rename", rename), check,
        drop_copies, seed,
    )  # fmt: skip
    folders = {"--real": real, "--pasted": pasted, **{f"--synthetic {n}": p for n, p in request.synthetic.items()}}
    check_apart(out, folders)
    count = workers or len(os.sched_getaffinity(0))
    made = make_plan(
        request,
        memory=out / MEMORY if resume else None,
        watch=lambda total, label: Progress(total, label, json=json, unit="image"),
        workers=count,
    )
    for line in made.warnings:
        typer.echo(json_text.dumps({"warning": line}, ensure_ascii=False) if json else f"warning: {line}", err=True)
    result: dict[str, Any] = {"out": str(out), "dry_run": dry_run, **made.summary()}
    if plan is not None:
        from augment.mixing.planning import write_wishes

        result["plan"] = write_wishes(made, plan, checkpoint=checkpoint, dry_run=dry_run)
    if not dry_run:
        with Progress(len(made), "mix-defects", json=json, unit="image") as progress:
            done = materialize(made, out, resume=resume, workers=count, on_progress=progress.update)
        result |= {"written": done.written, "seconds": round(done.seconds, 3), "unchanged": done.unchanged}
        result["next"] = f"check-data {out}/train"
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    for line in _lines(made, result):
        typer.echo(line)


def _lines(made: Plan, result: dict[str, Any]) -> list[str]:
    from augment.mixing.plan import plan_lines

    lines = plan_lines(made)
    if "plan" in result:
        lines += result["plan"]["lines"]
    if result["dry_run"]:
        return [*lines, f"would write {result['images']} images to {result['out']}"]
    rate = result["written"] / max(result["seconds"], 1e-9)
    lost = result["unchanged"]
    return [
        *lines,
        *([f"{lost} copies are unchanged: every augmentation tried lost the defect"] if lost else []),
        f"{result['out']}: {result['written']} images written in {result['seconds']:.1f} s ({rate:.1f} images/s)",
        f"next: {result['next']}",
    ]


def mix_defects() -> None:
    """Entry point."""
    from engine.commands import run

    run(app)
