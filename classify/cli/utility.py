"""`bench-utility`: does the synthetic data help here?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)

SCHEMES = "schemes"


@app.command()
def main(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="Real images, in any layout that check-data reads.")],
    synthetic: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Folder of gen-defects; may be given again. With {shots} and {seed} in it: a folder for each level.",
        ),
    ] = None,
    pasted: Annotated[
        str,
        typer.Option(help="alpha, poisson or perlin: made of the training images of each level; a folder; or none."),
    ] = "alpha",
    ratios: Annotated[str, typer.Option(help="Made images per real defective image.")] = "0,0.5,1,2,5,10",
    shots: Annotated[str, typer.Option(help="Real defective images trained with; all for all.")] = "5,10,25,all",
    seeds: Annotated[int, typer.Option(min=2, max=1000, help="Seeds; the same ones in every arm.")] = 5,
    mode: Annotated[
        str, typer.Option(help="frozen: a linear head on cached features; finetune: the whole network is trained.")
    ] = "frozen",
    task: Annotated[str, typer.Option(help="classify, segment or both.")] = "classify",
    network: Annotated[str, typer.Option(help="Of train-classifier; finetune mode.")] = "efficientnet_lite0",
    weights: Annotated[
        Path | None, typer.Option(help="ImageNet weights of --network (safetensors); finetune mode.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write.  [default: runs/utility-<folder>]")] = None,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side of the squares the network sees, px.")] = 128,
    window: Annotated[
        int | None,
        typer.Option(min=16, max=65_536, help="Side of the squares in a photograph, px; else the generator's."),
    ] = None,
    channels: Annotated[int, typer.Option(help="1 or 3; 0 for what the images have.")] = 0,
    good: Annotated[
        int | None,
        typer.Option(min=1, help="Good images trained with, or good squares; all without it, or 1,000 squares."),
    ] = None,
    unit: Annotated[
        str,
        typer.Option(help="What is scored: photographs, squares, or auto: squares where too few photographs are good."),
    ] = "auto",
    preset: Annotated[str, typer.Option(help="Classical augmentation: a preset or a YAML file.")] = "flips",
    versions: Annotated[int, typer.Option(min=1, max=64, help="Variations of each real image, frozen mode.")] = 8,
    steps: Annotated[
        int | None,
        typer.Option(min=8, max=1_000_000, help="Optimiser steps of every arm.  [default: 400 frozen, 300 finetune]"),
    ] = None,
    segment_steps: Annotated[int, typer.Option(min=8, max=1_000_000, help="Optimiser steps of every segmenter.")] = 400,
    val: Annotated[float, typer.Option(help="Share of what is not tested on, for hyper-parameters and ratios.")] = 0.25,
    test: Annotated[float, typer.Option(help="Share tested on, where no generator.json names the test images.")] = 0.2,
    split_seed: Annotated[int, typer.Option(min=0, help="Of the split into training, validation and test.")] = 0,
    cache: Annotated[Path | None, typer.Option(metavar="DIR", help="Where features are kept; else the user's.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no features.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads; torch's own without it.")] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write-levels",
            metavar="DIR",
            help="Write the photographs of every level and seed to DIR/SHOTS-SEED for train-gan; compare nothing.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with a folder; cells of the same settings are kept.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be computed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Progress and result as JSON.")] = False,
) -> None:
    """Does training with synthetic images give a better classifier of real ones? helps, hurts or no evidence.

    `bench-utility schemes --help` tells of the six training schemes.
    """
    import json as json_text
    import logging

    from augment.mixing.output import check_apart
    from augment.transforms.pipeline import preset as named_preset
    from classify.utility.design.bench import Request, open_bench
    from classify.utility.design.settings import UNITS, Settings, parse_ratios, parse_shots
    from engine.errors import UsageError

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if channels not in (0, 1, 3):
        raise UsageError(f"--channels: expected 1 or 3, got {channels}; leave it out for what the images have")
    if not 0 < val < 1 or not 0 < test < 1:
        raise UsageError(f"--val and --test: expected shares between 0 and 1, got {val:g} and {test:g}")
    if mode not in ("frozen", "finetune"):
        raise UsageError(f"--mode: {mode!r} is unknown; choose frozen or finetune")
    if task not in ("classify", "segment", "both"):
        raise UsageError(f"--task: {task!r} is unknown; choose classify, segment or both")
    if unit not in UNITS:
        raise UsageError(f"--unit: {unit!r} is unknown; choose {', '.join(UNITS[:-1])} or {UNITS[-1]}")
    _check_network(mode, network, weights)
    settings = Settings(
        mode=mode,
        size=size,
        window=window,
        channels=channels,
        network=network,
        preset=preset,
        versions=versions,
        good=good,
        steps=steps or (Settings.steps if mode == "frozen" else 300),
        batch=Settings.batch if mode == "frozen" else 16,
        learning_rate=Settings.learning_rate if mode == "frozen" else 5e-4,
        val_fraction=val,
        test_fraction=test,
        split_seed=split_seed,
        unit=unit,
    )
    method = None if pasted == "none" else pasted
    sets = _named(synthetic or [])
    if not sets and method is None and write is None:
        raise UsageError("nothing to compare: give --synthetic NAME=DIR, or --pasted alpha")
    request = Request(real, sets, method, parse_ratios(ratios), parse_shots(shots), seeds, settings)
    if write is not None:
        from classify.utility.design.split_export import write_out

        write_out(request, write, resume=resume, dry_run=dry_run, json=json)
        return
    named_preset(preset)
    folder = out or Path("runs") / f"utility-{real.resolve().name}"
    check_apart(folder, {"REAL": real} | _folders(sets, request.shots, seeds))
    bench = open_bench(request)
    if not json:
        typer.echo(f"unit: {bench.settings.unit} ({bench.why})", err=True)

    from classify.utility.launch import How, compare, plan_of

    if dry_run:
        plan = plan_of(bench)
        words = [f"{key}: {value}" for key, value in plan.items()]
        typer.echo(json_text.dumps(plan) if json else "\n".join(words))
        return

    from engine.commands import Progress
    from metrics.features.cache import user_cache

    how = How(
        tasks=("classify", "segment") if task == "both" else (task,),
        resume=resume,
        cache=None if no_cache else (cache or user_cache()) / "utility",
        weights=weights,
        segment_steps=segment_steps,
        threads=threads,
    )
    result = compare(bench, folder, how, lambda total, label, unit: Progress(total, label, json=json, unit=unit))
    lines = result.pop("lines")
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    for line in [*lines, "", f"report: {result['files']['report']}"]:
        typer.echo(line)


def _folders(sets: tuple[tuple[str, Path], ...], shots: tuple[int | None, ...], seeds: int) -> dict[str, Path]:
    """Every folder that the synthetic sets stand for, by what it is called in a message."""
    from classify.utility.design.few_shot_splits import filled

    levels = [(count, seed) for count in shots for seed in range(seeds)]
    every = {filled(folder, level): name for name, folder in sets for level in levels}
    return {f"--synthetic {name}={folder}": folder for folder, name in every.items()}


def _check_network(mode: str, network: str, weights: Path | None) -> None:
    """What a network needs is asked before anything is computed.

    Raises:
        UsageError: There is no such network or file, or no weights for it.
    """
    from engine.errors import UsageError

    if mode == "frozen":
        if network != "efficientnet_lite0" or weights is not None:
            raise UsageError("--network and --weights: are of finetune mode; add --mode finetune, or leave them out")
        return
    from classify.models.backbones import BACKBONES

    if network not in BACKBONES:
        raise UsageError(f"--network: {network!r} is unknown; choose of {', '.join(BACKBONES)}")
    if weights is not None and not weights.is_file():
        raise UsageError(f"--weights: {weights}: no such file; give a safetensors file")
    if network != "efficientnet_lite0" and weights is None:
        raise UsageError(f"--network: the weights of {network} are not in a package; give them by --weights FILE")


def _named(texts: list[str]) -> tuple[tuple[str, Path], ...]:
    """NAME=DIR of every synthetic set."""
    from classify.utility.design.trials import CLASSICAL, PASTED, REAL
    from engine.errors import UsageError
    from metrics.bench.request import parse_named

    sets = parse_named(texts, "--synthetic")
    taken = next((name for name, _ in sets if name in (REAL, CLASSICAL, PASTED)), None)
    if taken is not None:
        raise UsageError(f"--synthetic: {taken!r} is the name of an arm; choose another name")
    return sets


def bench_utility() -> None:
    """Entry point."""
    from engine.commands import main as run_main
    from engine.commands import run

    if sys.argv[1:2] == [SCHEMES]:
        from classify.cli.schemes import app as schemes

        sys.exit(run_main(schemes, sys.argv[2:], name=f"bench-utility {SCHEMES}"))
    run(app)


if __name__ == "__main__":
    bench_utility()
