"""`bench-utility --write-levels DIR`: what each level and seed has, as data for a generator of its own."""

from __future__ import annotations

import json as json_text
from dataclasses import replace
from pathlib import Path

import typer

from augment.mixing.output import check_apart
from classify.utility.design.bench import Request, open_bench
from classify.utility.design.few_shot_splits import SEED, SHOTS, is_template, write_levels
from classify.utility.design.trials import level_name
from engine.commands import Progress
from engine.errors import UsageError


def write_out(request: Request, folder: Path, *, resume: bool, dry_run: bool, json: bool) -> None:
    """Writes what each level and seed has, and names the folders.

    Raises:
        MagnaError: The images cannot be divided, or a folder is there or cannot be written.
    """
    if is_template(folder):
        raise UsageError(f"--write-levels: names its folders {SHOTS}-{SEED} itself; give the folder they go into")
    shared = tuple((name, made) for name, made in request.synthetic if not is_template(made))
    apart = {"REAL": request.real} | {f"--synthetic {name}": made for name, made in shared}
    check_apart(folder, apart, flag="--write-levels")
    bench = open_bench(replace(request, synthetic=shared, pasted="alpha"))
    levels = list(dict.fromkeys(cell.at for cell in bench.cells))
    has = [(level, bench.chosen(level), bench.good) for level in levels]
    if dry_run:
        counts = {f"{level_name(shots)}-{seed}": [len(chosen), len(good)] for (shots, seed), chosen, good in has}
        lines = [f"{name}: {own} defective photographs, {good} good ones" for name, (own, good) in counts.items()]
        typer.echo(json_text.dumps({"dry_run": True, "levels": counts}) if json else "\n".join(lines))
        return
    written = []
    with Progress(len(levels), "levels", json=json, unit="folder") as progress:
        for root in write_levels(has, folder, bench.hashes, resume=resume):
            written.append(str(root))
            progress.update()
    if json:
        typer.echo(json_text.dumps({"folders": written}, ensure_ascii=False))
        return
    typer.echo("\n".join(written))
    first, name = written[0], Path(written[0]).name
    typer.echo(f"next, for each: train-gan {first} --config blend_tile --set data.test_fraction=0 --out runs/{name}")
    typer.echo(f"gen-defects --checkpoint runs/{name} --masks {first}/masks --backgrounds {first} --out fakes/{name}")
    typer.echo(f"then this command with --synthetic 'own=fakes/{SHOTS}-{SEED}' in place of --write-levels")
