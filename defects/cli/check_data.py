"""`check-data`: what is in a folder of images, and everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from defects.formats.validation import Inspection
    from engine.errors import Issue

app = typer.Typer(add_completion=False)

_SHOWN = 3


@app.command()
def main(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds the images.")],
    layout: Annotated[
        str,
        typer.Option(help="sample_folder, magnetic_tile, bsdata, mvtec, coco, yolo, folders; auto finds out."),
    ] = "auto",
    depth16: Annotated[
        str, typer.Option(help="16-bit images: refuse, or scale 0..65535 to 0..255 (masks are 8-bit in any case).")
    ] = "refuse",
    verify: Annotated[bool, typer.Option("--verify", help="Compare every image with the sha256 in its row.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="List every warning, not only the first of those alike.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Result as one JSON object on stdout.")] = False,
) -> None:
    """Read a folder in any known layout, open everything, list every issue at once and say what is in it."""
    import shlex

    from defects.formats.dataset import read_dataset
    from defects.formats.validation import inspect
    from defects.images.decode import at_depth
    from defects.manifest import read_manifest
    from defects.masks.width import width
    from defects.summary import summarize
    from engine.commands import Progress
    from engine.files.atomic import to_json

    dataset = read_dataset(folder, layout)
    samples, issues = dataset.samples, dataset.issues
    if verify and dataset.layout == "sample_folder":
        samples, issues = read_manifest(folder, verify=True)
    samples = at_depth(samples, depth16)
    with Progress(len(samples), "check-data", json=json, unit="image") as progress:

        def opened() -> Iterator[Inspection]:
            for inspection in inspect(samples, width=width):
                progress.update(1)
                yield inspection

        summary = summarize(opened(), issues)
    command = f"train-gan {shlex.quote(str(folder))}" + (f" --depth16 {depth16}" if depth16 != "refuse" else "")
    failed = bool(summary.errors)
    if json:
        following = None if failed or not summary.marked else command
        result = {"path": str(folder), "layout": dataset.layout, **summary.to_dict(), "next": following}
        typer.echo(to_json(result))
        raise typer.Exit(int(failed))
    for issue in summary.errors:
        _say(f"issue: {issue} [{issue.code}]")
    for line in _warnings(summary.warnings, every):
        _say(line)
    _say(f"{folder}: {summary.images} images, layout {dataset.layout}")
    for line in summary.lines():
        _say(f"  {line}")
    if failed:
        _say(f"{_count(len(summary.errors), 'issue')}; fix them and run check-data again")
    elif not summary.marked:
        _say("no image has a marked defect: there is nothing to train a generator on")
    else:
        _say(f"no issues, {_count(len(summary.warnings), 'warning')}")
        _say(f"next: {command}")
    raise typer.Exit(int(failed))


def _say(line: str) -> None:
    """Print a line; a file name that is no UTF-8 is shown escaped."""
    typer.echo(line.encode("utf-8", "backslashreplace").decode())


def _warnings(warnings: Sequence[Issue], every: bool) -> list[str]:
    """One line a warning; of more than a few alike, one line for all."""
    alike: dict[tuple[str, str], list[Issue]] = {}
    for issue in warnings:
        alike.setdefault((issue.what, issue.remedy), []).append(issue)
    lines: list[str] = []
    for (what, remedy), group in alike.items():
        if every or len(group) <= _SHOWN:
            lines += [f"warning: {issue}" for issue in group]
        else:
            lines.append(f"warning: {len(group)} files, such as {group[0].path}: {what}; {remedy} (--all lists them)")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def check_data() -> None:
    """Entry point."""
    from engine.commands import run

    run(app)
