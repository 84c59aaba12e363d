"""One micro-batch from masks to the bytes of files: read, bring to width, paint, encode, annotate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defects.images.decode import encode_image
from defects.manifest import row_of
from defects.masks.outlines import INSET, outlines
from defects.sample import Sample
from engine.files.atomic import sha256_bytes
from gan.generation.annotations import labelme_json, yolo_text
from gan.generation.jobs import Job
from gan.generation.plan import Picture, Plan

Row = dict[str, Any]


def files_of(plan: Plan, name: str) -> dict[str, str]:
    """The files of one image by what they are, relative to the sample folder."""
    labels = plan.jobs.request.labels
    files = {"image": f"images/{name}.{plan.jobs.request.format}", "mask": f"masks/{name}.png"}
    if "yolo" in labels:
        files["yolo"] = f"labels/{name}.txt"
    if "labelme" in labels:
        files["labelme"] = f"labelme/{name}.json"
    return files


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its manifest row, None where it is left out, and the candidates that were rejected."""

    number: int
    row: Row | None
    rejected: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Made:
    """The wanted jobs of a micro-batch: their files, to be written first, and their outcomes, in order."""

    files: list[tuple[Path, bytes]]
    outcomes: list[Outcome]


def make_batch(plan: Plan, out: Path, numbers: range, wanted: Sequence[int]) -> Made:
    """Makes a micro-batch; nothing is written yet.

    Args:
        plan: of the run.
        out: the sample folder.
        numbers: all jobs of the micro-batch: it is painted whole, however few of it are wanted.
        wanted: those whose files are made.
    """
    jobs = [plan.jobs[i] for i in numbers]
    made = Made([], [])
    for number, job, picture in zip(numbers, jobs, plan.draw(jobs), strict=True):
        if number in wanted:
            row = None
            if picture.kept:
                files, row = _finish(plan, out, job, picture)
                made.files.extend(files)
            made.outcomes.append(Outcome(number, row, picture.rejected))
    return made


def _finish(plan: Plan, out: Path, job: Job, item: Picture) -> tuple[list[tuple[Path, bytes]], Row]:
    request, shape = plan.jobs.request, (item.label.shape[0], item.label.shape[1])
    names = files_of(plan, job.name)
    content = {"image": encode_image(item.image, request.format), "mask": encode_image(item.label)}
    if "yolo" in names or "labelme" in names:
        parts = outlines(item.label, INSET)
        if "yolo" in names:
            content["yolo"] = yolo_text(parts, shape, plan.jobs.classes.index(item.kind)).encode()
        if "labelme" in names:
            folder = names["labelme"].rpartition("/")[0]
            content["labelme"] = labelme_json(parts, shape, item.kind, names["image"], folder)
    entry = plan.jobs.masks.entries[job.mask]
    sample = Sample(
        name=job.name,
        image=out / names["image"],
        mask=out / names["mask"],
        label=item.kind,
        group=entry.name,
        source="synthetic",
        metadata={
            "guide": dict(item.raw),
            "guide_scaled": dict(item.scaled),
            "checkpoint": plan.checkpoint,
            "seed": request.seed,
            "mask_source": entry.file,
            **item.columns,
        },
    )
    row = row_of(sample, out, sha256=sha256_bytes(content["image"]))
    return [(out / names[what], data) for what, data in content.items()], row
