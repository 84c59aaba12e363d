"""`train-classifier predict`, `evaluate`, `export`, `explain` and `table`: what a trained classifier is used for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from classify.inference.evaluate import Evaluation
    from classify.models.checkpoint import LoadedClassifier

Model = Annotated[Path, typer.Option(help="Run folder of train-classifier, or a checkpoint.")]
Layout = Annotated[str, typer.Option(help="Layout of the folder; auto finds it, plain ignores what it says.")]
Depth16 = Annotated[str, typer.Option(help="16-bit images: refuse, or scale 0..65535 to 0..255 on purpose.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads; default: torch's.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Json = Annotated[bool, typer.Option("--json", help="Progress and result as JSON.")]


def predict(
    data: Annotated[Path, typer.Argument(help="A picture, a folder of plain pictures, or a data set.")],
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("runs/predictions"),
    truth: Annotated[bool, typer.Option("--truth", help="Outline in the overlays what is annotated.")] = False,
    layout: Layout = "auto",
    depth16: Depth16 = "refuse",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    device: Device = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Ask a classifier about photographs: class, probability, map, overlay and boxes of each, and a page of all.

    Example: train-classifier predict photos --model runs/tiles --out runs/found
    """
    import json as json_text

    from augment.mixing.output import check_apart
    from classify.inference.figures import PAGE
    from classify.inference.inputs import open_inputs
    from classify.inference.predict import PREDICTIONS, predict_folder
    from engine.commands import Progress
    from engine.errors import DataError

    if data.is_dir():
        check_apart(out, {"the folder of photographs": data})
    classifier = _load(model, device, threads)
    inputs = open_inputs(data, layout, depth16)
    with Progress(len(inputs.samples), "predict", json=json, unit="image") as progress:
        done = predict_folder(
            classifier, inputs, out, truth=truth, resume=resume, workers=threads, on_progress=progress.update
        )
    result: dict[str, Any] = {
        "out": str(out), "images": done.images, "written": done.written, "defective": done.defective,
        "unreadable": list(done.issues), "next": f"open {out / PAGE}",
    }  # fmt: skip
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
    else:
        typer.echo(f"{out / PREDICTIONS}: {done.defective} of {done.images} photographs look defective")
        typer.echo(f"look at: {out / PAGE}")
    if done.issues:
        raise DataError("\n".join(done.issues))


def evaluate(
    data: Annotated[Path, typer.Option(help="The folder that it was trained from; its test images are used.")],
    model: Annotated[list[Path], typer.Option(help="Run folder or checkpoint; several are ranked.")],
    part: Annotated[
        str, typer.Option(help="test or val: held out, as the checkpoint says; all: every photograph of a new folder.")
    ] = "test",
    by: Annotated[str, typer.Option(help="Rank maps by image (mean of images) or by pixel (all pixels).")] = "image",
    out: Annotated[Path | None, typer.Option(help="File to write the result to as JSON.")] = None,
    layout: Layout = "auto",
    depth16: Depth16 = "refuse",
    device: Device = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Measure classifiers on images held out: what they are called, and where the map points.

    Example: train-classifier evaluate --model runs/tiles --data data/tiles
    """
    import json as json_text

    from augment.mixing.output import check_apart
    from classify.data.dataset import open_data
    from classify.inference.evaluate import evaluate as measure
    from classify.inference.evaluation_table import comparison, evaluation_lines
    from classify.inference.inputs import examples_for
    from engine.commands import Progress
    from engine.errors import UsageError
    from engine.files.atomic import write_json

    if part not in ("test", "val", "all"):
        raise UsageError(f"--part: unknown {part!r}; use test, val or all")
    if by not in ("image", "pixel"):
        raise UsageError(f"--by: unknown {by!r}; use image or pixel")
    if out is not None:
        check_apart(out, {"--data": data})
    dataset = open_data(data, layout, depth16)
    found: dict[str, Evaluation] = {}
    sets: dict[str, frozenset[str]] = {}
    for path in model:
        classifier = _load(path, device, threads)
        examples = examples_for(classifier, dataset, data, part)
        sets[str(path)] = frozenset(sample.name for sample in examples.samples)
        with Progress(len(sets[str(path)]), f"evaluate {path.name}", json=json, unit="image") as progress:
            found[str(path)] = measure(classifier, examples, progress.update)
    warnings = []
    if len(set(sets.values())) > 1:
        warnings.append("the models were measured on different images: their ranks mean little")
    result: dict[str, Any] = {
        "data": str(data), "part": part, "warnings": warnings,
        "models": {name: one.to_dict() | {"images": sorted(sets[name])} for name, one in found.items()},
    }  # fmt: skip
    if out is not None:
        write_json(out, result)
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    for line in warnings:
        typer.echo(f"warning: {line}", err=True)
    for name, one in found.items():
        typer.echo(f"{name}: {len(sets[name])} images of {part} in {data}\n")
        typer.echo("\n".join([*evaluation_lines(one), ""]))
    if len(found) > 1:
        tiled = all(one.photographs is not None for one in found.values())
        for photographs in (False, True) if tiled else (False,):
            typer.echo("photographs, ranked" if photographs else "squares, ranked")
            typer.echo("\n".join([*comparison(found, photographs=photographs, by=by), ""]))
    typer.echo(f"next: train-classifier predict {data} --model {model[0]} --truth")


def export(
    model: Model,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("model.onnx"),
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    json: Json = False,
) -> None:
    """Write a classifier as ONNX, with logits, map and features as outputs, checked against PyTorch.

    Example: train-classifier export --model runs/tiles --out tiles.onnx
    """
    import json as json_text

    from classify.inference.export import export_classifier
    from engine.errors import OutputError, UsageError

    if out.suffix != ".onnx":
        raise UsageError(f"--out: expected a file ending in .onnx, got {out}")
    if out.exists() and not force:
        raise OutputError(f"{out}: is there already; add --force to write over it, or choose another --out")
    classifier = _load(model, "cpu", None)
    done = export_classifier(classifier, out)
    result = {"out": str(out), "sha256": done.sha256, "bytes": done.bytes, "differences": done.differences}
    if json:
        typer.echo(json_text.dumps(result))
        return
    told = ", ".join(f"{name} {value:.1e}" for name, value in done.differences.items())
    typer.echo(
        f"{out}: {done.bytes / 1e6:.1f} MB, {classifier.channels} x {classifier.size} x {classifier.size} in 0..1"
    )
    typer.echo(f"largest difference from PyTorch, of an output's range: {told}")
    typer.echo(f"next: bench-fid --real DIR --fake DIR --extractor {out}")


def explain(
    image: Annotated[Path, typer.Argument(help="A photograph.")],
    model: Model,
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("explanations.png"),
    depth16: Depth16 = "refuse",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Draw five explanations of one photograph side by side; of a tiled one, of its most suspicious tile.

    Example: train-classifier explain part.png --model runs/tiles --out part-explained.png
    """
    import json as json_text

    from classify.inference.figures import explained
    from engine.errors import UsageError

    if out.suffix != ".png":
        raise UsageError(f"--out: expected a file ending in .png, got {out}")
    if out.resolve() == image.resolve():
        raise UsageError(f"--out: {out} is the photograph itself; choose another --out")
    result = explained(_load(model, "cpu", threads), image, out, depth16)
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    for name, seconds in result["seconds"].items():
        typer.echo(f"{name:16} {seconds * 1000:9.1f} ms")
    typer.echo(f"{out}: {result['class']} {result['probability']:.2f}")


def table(
    every: Annotated[bool, typer.Option("--all", help="Every network, not only the published ones.")] = False,
    json: Json = False,
) -> None:
    """Count parameters and operations of the networks, with and without the map, beside the published ones."""
    import json as json_text
    from dataclasses import asdict

    from classify.models.backbones import BACKBONES
    from classify.models.complexity import PUBLISHED, measure, table_lines

    keys = [(name, short) for name in BACKBONES for short in (False, True)] if every else list(PUBLISHED)
    rows = {key: measure(key[0], short=key[1]) for key in keys}
    if json:
        content = [
            {"network": name, "short": short, **asdict(row), "published": _said(PUBLISHED.get((name, short)))}
            for (name, short), row in rows.items()
        ]
        typer.echo(json_text.dumps(content))
        return
    typer.echo("\n".join(table_lines(rows)))
    typer.echo(
        "\nin millions, for an image of 128 x 128 px; _s: shortened. MACs are those of convolutions and linear layers; "
        "by the\nsource's rules: half the operations that TensorFlow's profiler sees in the same network (see "
        "classify/models/complexity.py)."
    )


def _said(row: Any) -> dict[str, Any] | None:
    from dataclasses import asdict

    return None if row is None else asdict(row)


def _load(model: Path, device: str, threads: int | None) -> LoadedClassifier:
    import logging

    import torch

    from classify.models.checkpoint import load_classifier

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if threads is not None:
        torch.set_num_threads(threads)
    from engine.runtime.device import select_device

    return load_classifier(model, select_device(device).type)
