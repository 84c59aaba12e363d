"""One run of `gen-defects`: every image of a plan as files and a manifest row, then labels, card and contact sheet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from defects.images.decode import encode_image, read_image, read_mask_image
from defects.manifest import dataset_card, row_of
from defects.masks.width import bounding_box
from defects.provenance import file_name as GENERATOR
from defects.provenance import read_provenance
from defects.sample import Sample
from engine.errors import DataError
from engine.files.atomic import sha256_bytes, write_bytes, write_json, write_text
from engine.run.sample_folder import Item, SampleFolder, WriteJob, open_sample_folder
from engine.runtime.device import repeatable
from gan.generation.jobs import Job
from gan.generation.plan import GeneratedImage, Plan

NAME = "preview.png"
ROWS, COLUMNS, TILE, GAP, TEXT = 6, 5, 144, 8, 13
THUMB = 2 * TEXT
SHOWN = 160
"""Least side of the part that is shown of an image whose sides differ, px."""

Row = dict[str, Any]
Pixels = NDArray[np.uint8]


def write_preview(root: Path, rows: Iterable[Row], groups: int) -> None:
    """Writes `preview.png`.

    Args:
        root: the sample folder.
        rows: its manifest rows, those of one mask together.
        groups: how many masks there are; `ROWS` of them, evenly spread, are shown.
    """
    shown = {round(i * (groups - 1) / max(1, ROWS - 1)) for i in range(ROWS)} if groups > ROWS else set(range(groups))
    lines = [
        [row for _, row in zip(range(COLUMNS), same, strict=False)]
        for number, (_, same) in enumerate(groupby(rows, key=lambda row: row["group"]))
        if number in shown
    ]
    if not lines:
        return
    columns = max(len(line) for line in lines)
    step, height = TILE + GAP, TILE + THUMB + GAP
    sheet = Image.new("RGB", (GAP + step * (columns + 1), GAP + height * len(lines)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for number, line in enumerate(lines):
        y = GAP + height * number
        _place(sheet, (GAP, y), TILE, _around(_label(root, line[0])))
        _write(draw, font, (GAP, y), [_fitted(line[0]["group"], 24), "label of the first"])
        for column, row in enumerate(line, start=1):
            x = GAP + step * column
            _place(sheet, (x, y), TILE, _around(_label(root, row), read_image(root / row["file_name"])))
            _place(sheet, (x + TILE - THUMB, y + TILE + 2), THUMB, _label(root, row))
            _write(draw, font, (x, y), _caption(row))
    write_bytes(root / NAME, encode_image(np.asarray(sheet)))


def _label(root: Path, row: Row) -> Pixels:
    return read_mask_image(root / row["mask"])[0].astype(np.uint8) * np.uint8(255)


def _around(label: Pixels, image: Pixels | None = None) -> Pixels:
    """The part of the image, or of its label, around the defect; the whole where its sides are equal."""
    shown = label if image is None else image
    height, breadth = label.shape[:2]
    if height == breadth:
        return shown
    x, y, w, h = bounding_box(label > 0) or (0, 0, breadth, height)
    side = min(max(SHOWN, 2 * w, 2 * h), height, breadth)
    left = min(max(0, x + w // 2 - side // 2), breadth - side)
    top = min(max(0, y + h // 2 - side // 2), height - side)
    return np.ascontiguousarray(shown[top : top + side, left : left + side])


def _place(sheet: Image.Image, corner: tuple[int, int], side: int, pixels: Pixels) -> None:
    how = cv2.INTER_AREA if pixels.shape[0] > side else cv2.INTER_NEAREST
    sheet.paste(Image.fromarray(cv2.resize(pixels, (side, side), interpolation=how)).convert("RGB"), corner)


def _write(draw: ImageDraw.ImageDraw, font: Any, corner: tuple[int, int], lines: list[str]) -> None:
    for i, text in enumerate(lines):
        draw.text((corner[0], corner[1] + TILE + 1 + i * TEXT), text, fill="black", font=font)


def _caption(row: Row) -> list[str]:
    """Two short lines: thickness and brightness, then the named values."""
    raw, scaled = row["guide"]["raw"], row["guide"]["scaled"]
    numbers = [
        f"{raw[name]:.1f} px" if name == "thickness" else f"{name[:6]} {value:.2f}"
        for name, value in scaled.items()
        if isinstance(value, float)
    ]
    words = [str(value) for value in scaled.values() if isinstance(value, str)]
    return [_fitted(" ".join(numbers), 22), _fitted(" ".join(words) or row["label"], 20)]


def _fitted(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    Attributes:
        images: In the folder; fewer than requested where a filter leaves some out.
        written: Images written by this run.
        seconds: Its duration.
        warnings: About the generated images.
    """

    images: int
    written: int
    seconds: float
    warnings: tuple[str, ...] = ()


def files_of(plan: Plan, name: str) -> dict[str, str]:
    """The files of one image by their content, relative to the sample folder; the image comes first."""
    labels = plan.jobs.request.labels
    files = {"image": f"images/{name}.{plan.jobs.request.format}", "mask": f"masks/{name}.png"}
    if "yolo" in labels:
        files["yolo"] = f"labels/{name}.txt"
    if "labelme" in labels:
        files["labelme"] = f"labelme/{name}.json"
    return files


def generate(
    plan: Plan,
    out: Path,
    *,
    resume: bool = False,
    batch_size: int = 32,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
) -> RunResult:
    """Generates every image of the plan that is not there yet.

    Args:
        plan: What to generate.
        out: The sample folder.
        resume: Complete a folder that was begun with the same plan.
        batch_size: Rows appended to the manifest at once.
        workers: Threads that generate images; one for each core is fastest.
        on_progress: Called with how many more images are complete.

    Raises:
        OutputError: The folder is in use, not empty, or cannot be written; what was recorded stays valid.
        UsageError: It was begun with other settings.
        DataError: It holds something else, or a filter passed no image; in that case the folder is empty again.
    """
    start = time.perf_counter()
    with open_sample_folder(out, plan.description, resume=resume) as folder:
        _describe_generator(folder, plan)
        job = WriteJob(
            count=len(plan.jobs),
            names=lambda number: tuple(files_of(plan, plan.jobs[number].name).values()),
            make=partial(_make, plan, out),
            chunk=plan.micro_batch,
            optional=plan.optional,
        )
        state = folder.recorded(job)
        with plan.log_rejections(out, state.done) as before_rows, _torch_settings(plan):
            written = folder.write(
                job,
                state,
                workers=workers,
                rows_at_once=batch_size,
                on_progress=on_progress,
                before_rows=before_rows,
                initializer=partial(torch.set_num_threads, 1),
            )
        images = sum(1 for _ in folder.manifest.stream()) if plan.optional else len(plan.jobs)
        if not images:
            reason = plan.why_empty(out)
            folder.abandon(GENERATOR, *plan.logs)
            raise DataError(f"{out}: {reason}", code="E-filter-no-image")
        _finish(plan, folder, images)
        warnings = tuple(plan.warnings_of(folder.manifest.stream()))
    return RunResult(images, written, time.perf_counter() - start, warnings)


def _describe_generator(folder: SampleFolder, plan: Plan) -> None:
    """Writes `generator.json`, or compares it with the one of the interrupted run.

    Raises:
        DataError: It describes another generator.
    """
    before = read_provenance(folder.path) if folder.resumed else None
    if before is None:
        write_json(folder.path / GENERATOR, plan.provenance.to_dict())
    elif before != plan.provenance:
        raise DataError(
            f"{folder.path / GENERATOR}: describes another generator; choose another --out",
            code="E-resume-generator",
        )


@contextmanager
def _torch_settings(plan: Plan) -> Iterator[None]:
    """Repeatable kernels; the thread count that the maker threads set comes back at the end."""
    threads = torch.get_num_threads()
    try:
        with repeatable(plan.sampler.device):
            yield
    finally:
        torch.set_num_threads(threads)


def _make(plan: Plan, out: Path, numbers: range, needed: Sequence[int]) -> list[Item]:
    """A micro-batch: all of its jobs are generated, however few of them are needed."""
    jobs = [plan.jobs[number] for number in numbers]
    items = []
    for number, job, image in zip(numbers, jobs, plan.generate(jobs), strict=True):
        if number in needed:
            files, row = _encode(plan, out, job, image) if image.passed else ({}, None)
            items.append(Item(number, files, row, image.rejected))
    return items


def _encode(plan: Plan, out: Path, job: Job, image: GeneratedImage) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Contents by file name, and the manifest row."""
    request, shape = plan.jobs.request, (image.mask.shape[0], image.mask.shape[1])
    names = files_of(plan, job.name)
    content = {"image": encode_image(image.pixels, request.format), "mask": encode_image(image.mask)}
    if "yolo" in names or "labelme" in names:
        from defects.masks.outlines import INSET, outlines

        parts = outlines(image.mask, INSET)
        if "yolo" in names:
            from defects.formats.yolo import label_text

            content["yolo"] = label_text(parts, shape, plan.jobs.classes.index(image.label)).encode()
        if "labelme" in names:
            from defects.formats.labelme import label_json

            folder = names["labelme"].rpartition("/")[0]
            content["labelme"] = label_json(parts, shape, image.label, names["image"], folder)
    entry = plan.jobs.masks.entries[job.mask]
    sample = Sample(
        name=job.name,
        image=out / names["image"],
        mask=out / names["mask"],
        label=image.label,
        group=entry.name,
        source="synthetic",
        metadata={
            "guide": dict(image.raw),
            "guide_scaled": dict(image.scaled),
            "checkpoint": plan.checkpoint,
            "seed": request.seed,
            "mask_source": entry.file,
            **image.columns,
        },
    )
    row = row_of(sample, out, sha256=sha256_bytes(content["image"]))
    return {names[key]: data for key, data in content.items()}, row


def _finish(plan: Plan, folder: SampleFolder, images: int) -> None:
    """Writes what needs all rows: annotations of the whole set, the data set card and the contact sheet."""
    out, rows, classes = folder.path, folder.manifest.stream, plan.jobs.classes
    if "yolo" in plan.jobs.request.labels:
        from defects.formats.yolo import data_yaml

        write_text(out / "data.yaml", data_yaml(classes, {"train": "images", "val": "images"}))
    if "coco" in plan.jobs.request.labels:
        from defects.formats.coco import write_annotations

        write_annotations(out, rows(), classes)
    text = f"""{images} synthetic images of surface defects ({", ".join(classes)}), generated by `gen-defects`.

`metadata.jsonl` has one row an image: its label mask, class, guide values, the mask it was generated from and its
checksum; `request.json` holds the settings by which the folder can be generated again.
"""
    card = dataset_card({"train": '[metadata.jsonl, "images/**"]'}, ("synthetic", "defect-detection"), text)
    write_text(out / "README.md", card)
    groups = len({row["group"] for row in rows()}) if plan.optional else len(plan.jobs.masks.entries)
    write_preview(out, rows(), groups)
