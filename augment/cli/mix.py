"""`mix-defects`: a training set from real, synthetic, pasted and augmented images."""

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
    from augment.mixing.request import Request

ALIAS = "mix"
RENAMED = {
    "--copies": "--augmentations",
    "--exposure": "--sampling-weights",
    "--window": "--crop",
    "--rename": "--class-map",
    "--drop-copies": "--drop-near-duplicates",
    "--kind": "--label",
}
"""Former flags of `mix-defects` and its subcommands."""
_FORMER_VALUES = {"--balance": {"kind": "class"}, "--check": {"copies": "near-duplicates"}}


class _DefaultAction(TyperGroup):
    """The main action needs no subcommand; `mix` is accepted too, and the former name of `catalog`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] == [former := "catalogue"]:
            typer.echo(f"warning: {former} is now catalog; write that", err=True)
            args = ["catalog", *args[1:]]
        return super().parse_args(ctx, args[1:] if args[:1] == [ALIAS] else args)


app = typer.Typer(add_completion=False, cls=_DefaultAction)
app.command()(catalog)
app.command()(paste)
app.command()(report)
app.command()(export)


@app.callback(invoke_without_command=True)
def main(
    ctx: typer.Context,
    real: Annotated[Path | None, typer.Option(help="Folder of real images, in any layout; needed.")] = None,
    synthetic: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]DIR", help="Folder of gen-defects; may be given again.")
    ] = None,
    pasted: Annotated[Path | None, typer.Option(help="Folder of `mix-defects paste`.")] = None,
    ratio: Annotated[str, typer.Option(help="real:synthetic[:pasted] training images, as 1:2; all without it.")] = "",
    balance: Annotated[str, typer.Option(help="class,size,brightness: fills the emptiest of these strata first.")] = "",
    augment: Annotated[str, typer.Option(help="Preset or YAML file of augmentations; see catalog.")] = "",
    augmentations: Annotated[int, typer.Option(min=0, help="Augmented images per training image.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("runs/mixed"),
    val: Annotated[float, typer.Option(help="Share of the real images for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the real images for the test.")] = 0.2,
    split_from: Annotated[
        str, typer.Option(help="auto: the generators'; none; column; or a generator.json or checkpoint .json.")
    ] = "auto",
    sampling_weights: Annotated[
        str, typer.Option(help="Share of each source in an epoch, as real=0.5,synthetic=0.3,pasted=0.2.")
    ] = "",
    epoch: Annotated[int | None, typer.Option(min=1, help="Images per epoch.")] = None,
    scores: Annotated[list[Path] | None, typer.Option(help="scores.jsonl of bench-fid; may be given again.")] = None,
    min_label_iou: Annotated[float | None, typer.Option(help="Least IoU of label and prediction, 0 to 1.")] = None,
    min_realism: Annotated[float | None, typer.Option(help="Least realism; 1 is inside the real images.")] = None,
    min_nearest_ratio: Annotated[
        float | None, typer.Option(help="Least distance to the nearest real image; near 0 is memorized.")
    ] = None,
    keep_unscored: Annotated[bool, typer.Option("--keep-unscored", help="Use images without scores.")] = False,
    size: Annotated[int | None, typer.Option(min=16, help="Side of the resized crops, px; the generator's.")] = None,
    crop: Annotated[int | None, typer.Option(min=8, help="Side of the crops in the image, px.")] = None,
    native: Annotated[bool, typer.Option("--native", help="Use whole images at their own size.")] = False,
    class_map: Annotated[str, typer.Option(help="New names of classes, as craks=crack.")] = "",
    layout: Annotated[str, typer.Option(help="Of --real; auto detects it.")] = "auto",
    check: Annotated[
        str, typer.Option(help="near-duplicates: compare with held-out images by pixels too; files: checksums.")
    ] = "near-duplicates",
    drop_near_duplicates: Annotated[
        bool, typer.Option("--drop-near-duplicates", help="Leave out what leaks; an error without it.")
    ] = False,
    plan: Annotated[Path | None, typer.Option(help="Write masks and guides that fill the strata, for gen-defects.")] = (
        None
    ),
    checkpoint: Annotated[
        Path | None, typer.Option(help="Generator that --plan is for; else that of --synthetic.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda: augment in batches there; without it one by one on the CPU.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one for each core without it.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, print the plan.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Mix real with synthetic, pasted and augmented images; only real images validate and test."""
    if ctx.invoked_subcommand is not None:
        return
    from augment.mixing.request import Request, Thresholds, named_folders, parse_pairs, parse_ratio
    from augment.mixing.request import parse_sampling_weights as parse_weights
    from engine.errors import UsageError

    if real is None:
        what = "--real is missing; give the folder of real images, or see `mix-defects --help`"
        raise UsageError(what, code="E-mix-no-real")
    axes = tuple(_present_value("--balance", axis.strip()) for axis in balance.split(",") if axis.strip())
    request = Request(
        real, named_folders(synthetic or []), pasted, layout, parse_ratio(ratio), axes, augment, augmentations, val,
        test, split_from, parse_weights(sampling_weights), epoch, size, crop, native, tuple(scores or ()),
        Thresholds(min_label_iou, min_realism, min_nearest_ratio), keep_unscored, parse_pairs("--class-map", class_map),
        _present_value("--check", check), drop_near_duplicates, seed, device,
    )  # fmt: skip
    _mix(request, out, plan, checkpoint, workers, resume=resume, dry_run=dry_run, json=json)


def _mix(
    request: Request, out: Path, generation: Path | None, checkpoint: Path | None, workers: int | None, *,
    resume: bool, dry_run: bool, json: bool,
) -> None:  # fmt: skip
    """Plans, writes and prints."""
    import json as json_text
    import os

    from augment.mixing.folder import RECORD, input_folders, write_mixture
    from augment.mixing.planning import make_plan
    from engine.commands import Progress
    from engine.files.atomic import check_apart

    check_apart(out, input_folders(request))
    threads = workers or len(os.sched_getaffinity(0))
    plan = make_plan(
        request,
        record=out / RECORD if resume else None,
        open_progress=lambda total, label: Progress(total, label, json=json, unit="image"),
        workers=threads,
    )
    for line in plan.warnings:
        typer.echo(json_text.dumps({"warning": line}, ensure_ascii=False) if json else f"warning: {line}", err=True)
    result: dict[str, Any] = {"out": str(out), "dry_run": dry_run, **plan.summary()}
    if generation is not None:
        result["plan"] = _write_generation_plan(plan, generation, checkpoint=checkpoint, dry_run=dry_run)
    if not dry_run:
        with Progress(len(plan), "mix-defects", json=json, unit="image") as progress:
            run = write_mixture(plan, out, resume=resume, workers=threads, on_progress=progress.update)
        result |= {"written": run.written, "seconds": round(run.seconds, 3), "unchanged": run.unchanged}
        result["next"] = f"check-data {out}/train"
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    for line in [*_plan_lines(plan), *_result_lines(result)]:
        typer.echo(line)


def _write_generation_plan(
    plan: Plan, out: Path, *, checkpoint: Path | None = None, dry_run: bool = False
) -> dict[str, Any]:
    """Writes masks, guides and commands for `gen-defects`, from the real training images only."""
    from augment.balancing.output import write_plan
    from augment.balancing.plan import make_generation_plan
    from augment.balancing.plan_commands import read_generator
    from engine.errors import UsageError

    train = [item.sample for item in plan.items["train"] if item.source == "real"]
    if not train:
        what = "--plan: no real image trains, so there is no mask to plan from; leave --plan out"
        raise UsageError(what, code="E-plan-no-defect")
    known = [path for path in plan.request.synthetic.values() if (path / "generator.json").is_file()]
    path = checkpoint or (known[0] if known else None)
    generator = read_generator(path) if path is not None else None
    generation = make_generation_plan(train, plan.cropper.crop_spec, generator=generator, seed=plan.request.seed)
    lines = [f"plan: {line}" for line in generation.lines()]
    if not dry_run:
        write_plan(generation, out)
        lines.append(f"plan written: sh {out}/commands.sh")
    return {"folder": str(out), "lines": lines, **generation.to_dict()}


def _plan_lines(plan: Plan) -> list[str]:
    """Images by split, source and class, the shares of an epoch, the dropped images and the strata."""
    from engine.commands import aligned

    summary, crop_spec = plan.summary(), plan.cropper.crop_spec
    rows = [["split", "source", "images", *plan.classes]]
    for split, by_source in summary["splits"].items():
        for source, counts in by_source.items():
            numbers = [sum(counts.values()), *(counts.get(label, 0) for label in plan.classes)]
            rows.append([split, source, *map(str, numbers)])
    lines = aligned(rows, left=(0, 1))
    lines.append(f"split: {plan.split_by}")
    if crop_spec is None:
        lines.append("images: whole, at their own size")
    else:
        side = "the shorter side" if crop_spec.crop is None else f"{crop_spec.crop} px"
        mode = "gray" if crop_spec.channels == 1 else "RGB"
        lines.append(f"images: {crop_spec.size} x {crop_spec.size} px {mode}, {side} of an image")
    if plan.variants > 1:
        each, total = plan.request.augmentations_each, len(plan.items["train"]) * plan.variants
        text = "augmentation" if each == 1 else "augmentations"
        lines.append(f"training images are written with {each} {text} each ({plan.request.augment}): {total} in all")
    draws = summary["draws_of_an_epoch"]
    shares = ", ".join(f"{name} {draws[name]} ({share:.0%})" for name, share in plan.weights.items())
    lines.append(f"an epoch of {plan.sampling.length} images: {shares}")
    for source, reasons in summary["dropped"].items():
        lines.append(f"left out of {source}: {', '.join(f'{number} {reason}' for reason, number in reasons.items())}")
    if plan.near_duplicates is not None:
        threshold = plan.near_duplicates.threshold
        lines.append(f"near-duplicates of held-out images: none left (from a similarity of {threshold:.2f})")
    if plan.fill is not None:
        before, after = plan.fill.before, plan.fill.after
        empty = [sum(not number for number in counts.values()) for counts in (before, after)]
        axes, span = " x ".join(plan.fill.axes), f"{min(after.values())} to {max(after.values())}"
        lines.append(f"strata ({axes}): {empty[0]} of {len(before)} empty before, {empty[1]} after; {span} images each")
    return lines


def _result_lines(result: dict[str, Any]) -> list[str]:
    lines: list[str] = result["plan"]["lines"] if "plan" in result else []
    if result["dry_run"]:
        return [*lines, f"would write {result['images']} images to {result['out']}"]
    rate = result["written"] / max(result["seconds"], 1e-9)
    if result["unchanged"]:
        text = f"{result['unchanged']} augmentations leave the image unchanged: every attempt lost the defect"
        lines = [*lines, text]
    return [
        *lines,
        f"{result['out']}: {result['written']} images written in {result['seconds']:.1f} s ({rate:.1f} images/s)",
        f"next: {result['next']}",
    ]


def _present_value(flag: str, value: str) -> str:
    """A value, a former spelling replaced with a line on stderr."""
    present = _FORMER_VALUES[flag].get(value, value)
    if present != value:
        typer.echo(f"warning: {flag} {value} is now {flag} {present}; write that", err=True)
    return present


def mix_defects() -> None:
    """Entry point."""
    from engine.commands import run

    run(app, renamed=RENAMED)
