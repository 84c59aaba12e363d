"""`bench-utility`: does the synthetic data help here?"""

from __future__ import annotations

import json as json_text
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classify.cli.options import LOGGING, Crop, DryRun, Json, Real, Resume, Size, Threads

if TYPE_CHECKING:
    from classify.utility.design.bench import Request

app = typer.Typer(add_completion=False)

SCHEMES = "schemes"
RENAMED = {
    "--write-levels": "--export-splits", "--unit": "--eval-on", "--window": "--crop", "--versions": "--augmentations",
}  # fmt: skip

Synthetic = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=DIR",
        help="Folder of gen-defects; repeatable. With {shots} and {seed} in it: a folder for each few-shot split.",
    ),
]
Pasted = Annotated[
    str,
    typer.Option(help="alpha, poisson or perlin: from the training images of each split; a folder; or none."),
]
Ratios = Annotated[str, typer.Option(help="Synthetic images per real defective image.")]
Shots = Annotated[str, typer.Option(help="Real defective images trained with; all for all.")]
Seeds = Annotated[int, typer.Option(min=2, max=1000, help="Seeds; the same ones in every arm.")]
Mode = Annotated[
    str, typer.Option(help="frozen: a linear probe on cached features; finetune: the whole network is trained.")
]
Tasks = Annotated[str, typer.Option("--task", help="classify, segment or both.")]
Network = Annotated[str, typer.Option(help="Of train-classifier; finetune mode.")]
File = Annotated[Path | None, typer.Option(help="ImageNet weights of --network (safetensors); finetune mode.")]
Out = Annotated[Path | None, typer.Option(help="Folder to write.  [default: runs/utility-<folder>]")]
Channels = Annotated[int, typer.Option(help="1 or 3; 0 for the images' own.")]
Good = Annotated[
    int | None,
    typer.Option(min=1, help="Good images trained with, or good crops.  [default: all images, or 1,000 crops]"),
]
EvalOn = Annotated[str, typer.Option(help="Evaluation unit: image, crop, or auto: crop where too few images are good.")]
Preset = Annotated[str, typer.Option(help="Classical augmentation: a preset or a YAML file.")]
Augmentations = Annotated[int, typer.Option(min=1, max=64, help="Augmentations of each real image, frozen mode.")]
Steps = Annotated[
    int | None,
    typer.Option(min=8, max=1_000_000, help="Optimizer steps of every arm.  [default: 400 frozen, 300 finetune]"),
]
SegmentSteps = Annotated[int, typer.Option(min=8, max=1_000_000, help="Optimizer steps of every segmenter.")]
Val = Annotated[float, typer.Option(help="Share outside the test, for hyperparameters and ratios.")]
Test = Annotated[float, typer.Option(help="Share tested on, where no generator.json names the test images.")]
SplitSeed = Annotated[int, typer.Option(min=0, help="Of the split into training, validation and test.")]
Cache = Annotated[Path | None, typer.Option(metavar="DIR", help="Of cached features.  [default: the user's]")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Cache no features.")]
Export = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write the images of every few-shot split to DIR/SHOTS-SEED; compare nothing."),
]


@app.command()
def main(
    real: Real,
    synthetic: Synthetic = None,
    pasted: Pasted = "alpha",
    ratios: Ratios = "0,0.5,1,2,5,10",
    shots: Shots = "5,10,25,all",
    seeds: Seeds = 5,
    mode: Mode = "frozen",
    task: Tasks = "classify",
    network: Network = "efficientnet_lite0",
    weights: File = None,
    out: Out = None,
    size: Size = 128,
    crop: Crop = None,
    channels: Channels = 0,
    good: Good = None,
    eval_on: EvalOn = "auto",
    preset: Preset = "flips",
    augmentations: Augmentations = 8,
    steps: Steps = None,
    segment_steps: SegmentSteps = 400,
    val: Val = 0.25,
    test: Test = 0.2,
    split_seed: SplitSeed = 0,
    cache: Cache = None,
    no_cache: NoCache = False,
    threads: Threads = None,
    export_splits: Export = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Does training with synthetic images give a better classifier of real ones? helps, hurts or no evidence.

    `bench-utility schemes --help` describes the six training schemes.
    """
    from classify.utility.design.bench import Request, open_bench
    from classify.utility.design.trials import FORMER_UNITS, Settings, parse_ratios, parse_shots
    from classify.utility.launch import RunOptions, compare, plan_of
    from engine.commands import Progress
    from engine.files.atomic import check_apart
    from metrics.features.cache import user_cache

    logging.basicConfig(**LOGGING)
    settings = Settings.for_mode(
        mode, steps=steps, size=size, crop=crop, channels=channels, network=network, preset=preset,
        augmentations=augmentations, good=good, val_fraction=val, test_fraction=test, split_seed=split_seed,
        eval_on=FORMER_UNITS.get(eval_on, eval_on),
    )  # fmt: skip
    _check(task, mode, network, weights, preset)
    sets = _named(synthetic or [], needed=pasted == "none" and export_splits is None)
    method = None if pasted == "none" else pasted
    request = Request(real, sets, method, parse_ratios(ratios), parse_shots(shots), seeds, settings)
    if export_splits is not None:
        _export(request, export_splits, resume=resume, dry_run=dry_run, json=json)
        return
    folder = out or Path("runs") / f"utility-{real.resolve().name}"
    check_apart(folder, {"REAL": real} | request.folders())
    bench = open_bench(request)
    if not json:
        typer.echo(f"evaluation unit: {bench.settings.eval_on} ({bench.why})", err=True)
    if dry_run:
        plan = plan_of(bench)
        typer.echo(json_text.dumps(plan) if json else "\n".join(f"{key}: {value}" for key, value in plan.items()))
        return
    options = RunOptions(
        tasks=("classify", "segment") if task == "both" else (task,),
        resume=resume,
        cache=None if no_cache else (cache or user_cache()) / "utility",
        weights=weights,
        segment_steps=segment_steps,
        threads=threads,
    )
    result = compare(bench, folder, options, lambda total, label, unit: Progress(total, label, json=json, unit=unit))
    lines = result.pop("lines")
    report = ["", f"report: {result['files']['report']}"]
    typer.echo(json_text.dumps(result, ensure_ascii=False) if json else "\n".join([*lines, *report]))


def _export(request: Request, folder: Path, *, resume: bool, dry_run: bool, json: bool) -> None:
    """Writes the few-shot splits and prints their folders and the next commands."""
    from classify.utility.design.sources import SEED, SHOTS
    from classify.utility.design.split_export import export_splits, plan_export
    from engine.commands import Progress

    bench, contents = plan_export(request, folder)
    if dry_run:
        counts = {content.split.name: [len(content.defective), len(content.good)] for content in contents}
        lines = [f"{name}: {own} defective images, {good} good ones" for name, (own, good) in counts.items()]
        typer.echo(json_text.dumps({"dry_run": True, "splits": counts}) if json else "\n".join(lines))
        return
    written = []
    with Progress(len(contents), "splits", json=json, unit="folder") as progress:
        for root in export_splits(contents, folder, bench.hashes, resume=resume):
            written.append(str(root))
            progress.update()
    if json:
        typer.echo(json_text.dumps({"folders": written}, ensure_ascii=False))
        return
    typer.echo("\n".join(written))
    first, name = written[0], Path(written[0]).name
    typer.echo(f"next, for each: train-gan {first} --config blend_tile --set data.test_fraction=0 --out runs/{name}")
    typer.echo(f"gen-defects --checkpoint runs/{name} --masks {first}/masks --backgrounds {first} --out fakes/{name}")
    typer.echo(f"then this command with --synthetic 'own=fakes/{SHOTS}-{SEED}' in place of --export-splits")


def _check(task: str, mode: str, network: str, weights: Path | None, preset: str) -> None:
    """Everything that a training needs is checked before anything is computed.

    Raises:
        UsageError: There is no such task, preset, network or file, or no weights for the network.
    """
    from augment.transforms.pipeline import load_preset
    from classify.config import CNNS
    from engine.errors import UsageError

    if task not in ("classify", "segment", "both"):
        raise UsageError(f"--task: {task!r} is unknown; use classify, segment or both", code="E-utility-task")
    load_preset(preset, of_features=mode == "frozen")
    code = "E-utility-network"
    if mode == "frozen":
        if network != "efficientnet_lite0" or weights is not None:
            raise UsageError("--network and --weights: need --mode finetune; add it, or leave them out", code=code)
        return
    if network not in CNNS:
        raise UsageError(f"--network: {network!r} is unknown; use one of {', '.join(CNNS)}", code=code)
    if weights is not None and not weights.is_file():
        raise UsageError(f"--weights: {weights}: no such file; give a safetensors file", code=code)
    if network != "efficientnet_lite0" and weights is None:
        raise UsageError(
            f"--network: the weights of {network} are not in a package; give them by --weights FILE", code=code
        )


def _named(texts: list[str], *, needed: bool) -> tuple[tuple[str, Path], ...]:
    """NAME=DIR of every synthetic set."""
    from classify.utility.design.trials import CLASSICAL, PASTED, REAL
    from engine.commands import parse_named
    from engine.errors import UsageError

    if needed and not texts:
        raise UsageError("nothing to compare: give --synthetic NAME=DIR, or --pasted alpha", code="E-utility-no-arms")
    sets = parse_named(texts, "--synthetic")
    taken = next((name for name, _ in sets if name in (REAL, CLASSICAL, PASTED)), None)
    if taken is not None:
        raise UsageError(f"--synthetic: {taken!r} is the name of an arm; use another name", code="E-utility-set-name")
    return sets


def bench_utility() -> None:
    """Entry point."""
    from engine.commands import main as run_main
    from engine.commands import run

    if sys.argv[1:2] == [SCHEMES]:
        from classify.cli.schemes import app as schemes

        sys.exit(run_main(schemes, sys.argv[2:], name=f"bench-utility {SCHEMES}", renamed={"--window": "--crop"}))
    run(app, renamed=RENAMED)


if __name__ == "__main__":
    bench_utility()
