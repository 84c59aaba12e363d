"""`train-classifier predict`, `evaluate`, `export`, `explain` and `table`: the uses of a trained classifier."""

from __future__ import annotations

import json as json_text
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from classify.cli.options import LOGGING, Depth16, Device, Json, Layout, Model, Resume, Threads

if TYPE_CHECKING:
    from classify.inference.evaluate import Evaluation
    from classify.models.checkpoint import LoadedClassifier

Split = Annotated[
    str,
    typer.Option(help="test or val: held out, as the checkpoint lists; all: every image of a new folder."),
]


def predict(
    data: Annotated[Path, typer.Argument(help="An image, a folder of images, or a data set.")],
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("runs/predictions"),
    truth: Annotated[bool, typer.Option("--truth", help="Outline the annotation in the overlays.")] = False,
    layout: Layout = "auto",
    depth16: Depth16 = "refuse",
    resume: Resume = False,
    device: Device = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Predict class, probability, map, overlay and boxes of each image, and write a page of all.

    Example: train-classifier predict images --model runs/tiles --out runs/predictions
    """
    from classify.inference.figures import PAGE
    from classify.inference.inputs import open_inputs
    from classify.inference.predict_folder import PREDICTIONS, predict_folder
    from engine.commands import Progress
    from engine.errors import DataError
    from engine.files.atomic import check_apart

    if data.is_dir():
        check_apart(out, {"the folder of images": data})
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
    lines = [f"{out / PREDICTIONS}: {done.defective} of {done.images} images are predicted defective"]
    lines.append(f"open: {out / PAGE}")
    typer.echo(json_text.dumps(result, ensure_ascii=False) if json else "\n".join(lines))
    if done.issues:
        raise DataError("\n".join(done.issues), code="E-image-unreadable")


def evaluate(
    data: Annotated[Path, typer.Option(help="The folder that it was trained on; its test images are used.")],
    model: Annotated[list[Path], typer.Option(help="Run folder or checkpoint; several are ranked.")],
    split: Split = "test",
    by: Annotated[str, typer.Option(help="Rank maps by image (mean of images) or by pixel (all pixels).")] = "image",
    out: Annotated[Path | None, typer.Option(help="File to write the result to as JSON.")] = None,
    layout: Layout = "auto",
    depth16: Depth16 = "refuse",
    device: Device = "auto",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Evaluate classifiers on held-out images: their classes, and where the maps point.

    Example: train-classifier evaluate --model runs/tiles --data data/tiles
    """
    from classify.data.dataset import open_data
    from classify.inference.evaluate import evaluate as run_evaluation
    from classify.inference.inputs import examples_for
    from engine.commands import Progress
    from engine.errors import UsageError
    from engine.files.atomic import check_apart, write_json

    if by not in ("image", "pixel"):
        raise UsageError(f"--by: unknown {by!r}; use image or pixel", code="E-classify-by")
    if out is not None:
        check_apart(out, {"--data": data})
    dataset = open_data(data, layout, depth16)
    evaluations: dict[str, Evaluation] = {}
    sets: dict[str, frozenset[str]] = {}
    for path in model:
        classifier = _load(path, device, threads)
        examples = examples_for(classifier, dataset, data, split)
        sets[str(path)] = frozenset(sample.name for sample in examples.samples)
        with Progress(len(sets[str(path)]), f"evaluate {path.name}", json=json, unit="image") as progress:
            evaluations[str(path)] = run_evaluation(classifier, examples, progress.update)
    differ = "the models were evaluated on different images: their ranks mean little"
    result: dict[str, Any] = {
        "data": str(data), "part": split, "warnings": [differ] if len(set(sets.values())) > 1 else [],
        "models": {name: one.to_dict() | {"images": sorted(sets[name])} for name, one in evaluations.items()},
    }  # fmt: skip
    if out is not None:
        write_json(out, result)
    if json:
        typer.echo(json_text.dumps(result, ensure_ascii=False))
        return
    for line in result["warnings"]:
        typer.echo(f"warning: {line}", err=True)
    heads = {name: f"{name}: {len(sets[name])} images of {split} in {data}\n" for name in evaluations}
    _print_evaluations(evaluations, heads, by)
    typer.echo(f"next: train-classifier predict {data} --model {model[0]} --truth")


def _print_evaluations(evaluations: dict[str, Evaluation], heads: dict[str, str], by: str) -> None:
    from classify.inference.evaluation_table import comparison, evaluation_lines

    for name, one in evaluations.items():
        typer.echo(heads[name])
        typer.echo("\n".join([*evaluation_lines(one), ""]))
    if len(evaluations) > 1:
        tiled = all(one.images is not None for one in evaluations.values())
        for images in (False, True) if tiled else (False,):
            typer.echo("images, ranked" if images else "crops, ranked")
            typer.echo("\n".join([*comparison(evaluations, images=images, by=by), ""]))


def export(
    model: Model,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("model.onnx"),
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    json: Json = False,
) -> None:
    """Write a classifier as ONNX, with logits, map and features as outputs, checked against PyTorch.

    Example: train-classifier export --model runs/tiles --out tiles.onnx
    """
    from classify.inference.export import export_classifier
    from engine.errors import OutputError

    if out.exists() and not force:
        raise OutputError(
            f"{out}: exists already; add --force to write over it, or choose another --out", code="E-out-exists"
        )
    classifier = _load(model, "cpu", None)
    done = export_classifier(classifier, out)
    result = {"out": str(out), "sha256": done.sha256, "bytes": done.bytes, "differences": done.differences}
    size = f"{classifier.channels} x {classifier.size} x {classifier.size}"
    lines = [
        f"{out}: {done.bytes / 1e6:.1f} MB, {size} in 0..1",
        "largest difference from PyTorch, of an output's range: "
        + ", ".join(f"{name} {value:.1e}" for name, value in done.differences.items()),
        f"next: bench-fid --real DIR --fake DIR --extractor {out}",
    ]
    typer.echo(json_text.dumps(result) if json else "\n".join(lines))


def explain(
    image: Annotated[Path, typer.Argument(help="An image.")],
    model: Model,
    out: Annotated[Path, typer.Option(help="Figure to write.")] = Path("explanations.png"),
    depth16: Depth16 = "refuse",
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Show five explanations of one image side by side; of a tiled one, of its most suspicious tile.

    Example: train-classifier explain part.png --model runs/tiles --out part-explained.png
    """
    from classify.inference.figures import explained
    from engine.errors import UsageError

    if out.suffix != ".png":
        raise UsageError(f"--out: expected a file ending in .png, got {out}", code="E-out-suffix")
    if out.resolve() == image.resolve():
        raise UsageError(f"--out: {out} is the image itself; choose another --out", code="E-out-is-input")
    result = explained(_load(model, "cpu", threads), image, out, depth16)
    lines = [f"{name:16} {seconds * 1000:9.1f} ms" for name, seconds in result["seconds"].items()]
    lines.append(f"{out}: {result['class']} {result['probability']:.2f}")
    typer.echo(json_text.dumps(result, ensure_ascii=False) if json else "\n".join(lines))


def table(
    every: Annotated[bool, typer.Option("--all", help="Every network, not only the published ones.")] = False,
    json: Json = False,
) -> None:
    """Count parameters and operations of the networks, with and without the map, next to the published ones."""
    from dataclasses import asdict

    from classify.models.backbones import BACKBONES
    from classify.models.complexity import PUBLISHED, measure, table_lines

    keys = [(name, short) for name in BACKBONES for short in (False, True)] if every else list(PUBLISHED)
    rows = {key: measure(key[0], short=key[1]) for key in keys}
    if json:
        papers = {key: asdict(row) for key, row in PUBLISHED.items()}
        content = [
            {"network": key[0], "short": key[1], **asdict(row), "published": papers.get(key)}
            for key, row in rows.items()
        ]
        typer.echo(json_text.dumps(content))
        return
    typer.echo("\n".join(table_lines(rows)))
    typer.echo(
        "\nin millions, for an image of 128 x 128 px; _s: shortened. MACs are those of convolutions and linear layers; "
        "by the\npaper's rules: half the operations that TensorFlow's profiler counts in the same network (see "
        "classify/models/complexity.py)."
    )


def _load(model: Path, device: str, threads: int | None) -> LoadedClassifier:
    import torch

    from classify.models.checkpoint import load_classifier
    from engine.runtime.device import select_device

    logging.basicConfig(**LOGGING)
    if threads is not None:
        torch.set_num_threads(threads)
    return load_classifier(model, select_device(device))
