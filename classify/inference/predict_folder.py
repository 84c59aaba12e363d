"""Predictions for a folder of images: a row, a map and an overlay of each, and a page of them all.

The files of an image are written before its row, so that a run killed at any instant resumes where it stopped and
writes what an undisturbed one writes. A few images are in memory at a time, however many there are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.inference.figures import overlay, write_page
from classify.inference.inputs import Inputs
from classify.inference.prediction import Prediction, predict_images
from classify.models.checkpoint import LoadedClassifier
from defects.images.decode import encode_image, image_info, read_image, read_mask
from defects.sample import GOOD, Sample
from engine.errors import DataError, OutputError, UsageError
from engine.files.atomic import from_json, remove_temporaries, write_json, write_many
from engine.files.json_lines import LOCK_NAME, LineLog, lock_folder

Image = NDArray[np.uint8]

PREDICTIONS = "predictions.jsonl"
REQUEST = "request.json"

_IMAGES, _PIXELS = 16, 48_000_000  # in memory at once
_QUALITY = 90


@dataclass(frozen=True)
class FolderResult:
    """The result of a run.

    Attributes:
        images: in the folder, of which
        written: by this run.
        defective: by the prediction.
        issues: one line for each that does not open.
    """

    images: int
    written: int
    defective: int
    issues: tuple[str, ...]


def predict_folder(
    classifier: LoadedClassifier,
    inputs: Inputs,
    out: Path,
    *,
    truth: bool = False,
    resume: bool = False,
    workers: int | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> FolderResult:
    """Writes `predictions.jsonl`, `maps/`, `overlays/`, `contact.jpg` and `index.html`.

    Args:
        classifier: trained.
        inputs: the images.
        out: a new folder, or with `resume` one that was begun.
        truth: whether to outline the annotation in the overlays.
        resume: continue a run of the same images and classifier.
        workers: threads that read and write images; one for each core by default.
        on_progress: called with the number of images done since the last call.

    Raises:
        OutputError: the folder is not empty, in use, or cannot be written.
        UsageError: it was started with another classifier or other images.
        DataError: its rows are not those of this run.
    """
    with lock_folder(out), ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        _begin(out, _description(classifier, inputs, truth), resume=resume)
        with LineLog(out / PREDICTIONS) as log:
            done, lost = _recorded(log, inputs, out)
            if on_progress is not None:
                on_progress(done - len(lost))
            todo = [*lost, *range(done, len(inputs.samples))]
            for chunk in _chunks(todo, inputs.samples):
                rows = _chunk(classifier, inputs, [inputs.samples[i] for i in chunk], out, truth, pool)
                log.append([row for index, row in zip(chunk, rows, strict=True) if index >= done])
                if on_progress is not None:
                    on_progress(len(chunk))
            defective, issues = 0, []
            for row in log.stream():
                defective += row.get("class", GOOD) != GOOD
                if "error" in row:
                    issues.append(str(row["error"]))
            write_page(out, log.stream(), images=len(inputs.samples), defective=defective, classifier=classifier)
    return FolderResult(len(inputs.samples), len(todo), defective, tuple(issues))


def _chunk(
    classifier: LoadedClassifier, inputs: Inputs, samples: Sequence[Sample], out: Path, truth: bool,
    pool: ThreadPoolExecutor,
) -> list[dict[str, Any]]:  # fmt: skip
    """Reads a few images, predicts, writes their files and returns their rows."""
    images = list(pool.map(_read, samples))
    good = [image for image in images if not isinstance(image, DataError)]
    predictions = iter(predict_images(classifier, good))
    jobs = [
        (sample, image, None if isinstance(image, DataError) else next(predictions))
        for sample, image in zip(samples, images, strict=True)
    ]
    results = list(pool.map(lambda job: _result(job[0], job[1], job[2], inputs, truth), jobs))
    write_many((out / name, data) for _, files in results for name, data in files.items())
    return [row for row, _ in results]


def _read(sample: Sample) -> Image | DataError:
    try:
        return read_image(sample.image, depth16=sample.depth16)
    except DataError as error:
        return error


def _result(
    sample: Sample, image: Image | DataError, prediction: Prediction | None, inputs: Inputs, truth: bool
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """An image's row and files."""
    row: dict[str, Any] = {"file_name": _file_name(sample, inputs)}
    if isinstance(image, DataError) or prediction is None:
        return row | {"error": str(image)}, {}
    mask = None
    if truth and inputs.known and sample.has_pixels and sample.label != GOOD:
        mask = read_mask(sample, image_info(sample.image))
    names = _files(sample)
    row |= {
        "width": image.shape[1],
        "height": image.shape[0],
        "class": prediction.label,
        "probability": round(prediction.probability, 6),
        "defect_probability": round(prediction.defect_probability, 6),
        "boxes": [
            dict(zip(("x", "y", "width", "height"), region.box, strict=True)) | {"score": round(region.score, 6)}
            for region in prediction.regions
        ],
        **names,
    }
    if prediction.tiles:
        row["tiles"] = [[*box, round(chance, 6)] for box, chance in prediction.tiles]
    if inputs.known:
        row["label"] = sample.label
    gray = np.rint(prediction.map * 255).astype(np.uint8)
    overlaid = encode_image(overlay(image, prediction, mask), "jpg", quality=_QUALITY)
    return row, {names["map"]: encode_image(gray, "png"), names["overlay"]: overlaid}


def _files(sample: Sample) -> dict[str, str]:
    return {"map": f"maps/{sample.name}.png", "overlay": f"overlays/{sample.name}.jpg"}


def _file_name(sample: Sample, inputs: Inputs) -> str:
    path = sample.image
    return path.relative_to(inputs.root).as_posix() if path.is_relative_to(inputs.root) else path.name


def _chunks(todo: Sequence[int], samples: Sequence[Sample]) -> Iterator[list[int]]:
    """Indices of images, a few at a time: fewer where they are large."""
    chunk: list[int] = []
    pixels = 0
    for index in todo:
        try:
            height, width = image_info(samples[index].image).upright
        except DataError:
            height = width = 0  # reported when it is read
        if chunk and (len(chunk) == _IMAGES or pixels + height * width > _PIXELS):
            yield chunk
            chunk, pixels = [], 0
        chunk.append(index)
        pixels += height * width
    if chunk:
        yield chunk


def _description(classifier: LoadedClassifier, inputs: Inputs, truth: bool) -> dict[str, Any]:
    names = "\n".join(_file_name(sample, inputs) for sample in inputs.samples)
    return {
        "classifier": classifier.sha256,
        "network": classifier.config.network.name + ("_s" if classifier.config.network.short else ""),
        "classes": list(classifier.classes),
        "data": classifier.config.data.model_dump(mode="json"),
        "images": len(inputs.samples),
        "names_sha256": hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest(),
        "truth": truth,
    }


def _begin(out: Path, description: dict[str, Any], *, resume: bool) -> None:
    remove_temporaries(out)
    there = any(entry.name != LOCK_NAME for entry in out.iterdir())
    if there and not resume:
        raise OutputError(
            f"{out}: is not empty; add --resume to continue, or choose another --out", code="E-out-not-empty"
        )
    if not there:
        write_json(out / REQUEST, description)
        return
    try:
        before = from_json((out / REQUEST).read_bytes())
    except (OSError, ValueError):
        raise DataError(
            f"{out / REQUEST}: missing or unreadable, so this is no run to resume; choose another --out",
            code="E-out-not-resumable",
        ) from None
    differences = {"truth": "other outlines", "images": "other images", "names_sha256": "other images"}
    for key, value in description.items():
        if not isinstance(before, dict) or before.get(key) != value:
            what = differences.get(key, "another classifier")
            raise UsageError(
                f"{out}: was started with {what}; repeat the first command, or choose another --out",
                code="E-out-other-run",
            )


def _recorded(log: LineLog, inputs: Inputs, out: Path) -> tuple[int, list[int]]:
    """How many images have a row, and which of those lack a file."""
    done, lost = 0, []
    for row in log.stream():
        if done >= len(inputs.samples) or row.get("file_name") != _file_name(inputs.samples[done], inputs):
            raise DataError(
                f"{log.path}: row {done + 1} is not one that this run writes; choose another --out",
                code="E-out-other-run",
            )
        if "error" not in row and not all((out / file).is_file() for file in _files(inputs.samples[done]).values()):
            lost.append(done)
        done += 1
    return done, lost
