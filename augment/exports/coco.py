"""COCO: `images/<split>/` and `annotations/instances_<split>.json`, one annotation a connected part."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np

from augment.exports.rows import SPLITS, Folder, Row
from augment.exports.target import write_missing
from defects.masks.outlines import area, outlines
from engine.files.atomic import open_atomic, to_json

_BATCH = 64

Entry = tuple[dict[str, Any], list[dict[str, Any]], tuple[Path, bytes]]


def write_coco(folder: Folder, out: Path, *, on_progress: Callable[[int], object], workers: int = 2) -> None:
    """Writes images and annotations; names are relative to `images/`.

    The outlines run along the pixels' edges, so that they enclose just the mask.

    Raises:
        DataError: An image or mask does not open.
        OutputError: A file cannot be written.
    """
    categories = [
        {"id": number, "name": kind, "supercategory": "defect"} for number, kind in enumerate(folder.kinds, start=1)
    ]

    def work(row: Row) -> Entry:
        data, (height, width), mask = row.read()
        name = f"{row.split}/{row.flat}.png"
        image = {"id": row.number + 1, "file_name": name, "width": width, "height": height}
        marks = [
            {
                "image_id": row.number + 1,
                "category_id": folder.kinds.index(row.sample.label) + 1,
                "segmentation": [part.ravel().tolist()],
                "area": area(part),
                "bbox": [*part.min(axis=0).tolist(), *np.ptp(part, axis=0).tolist()],
                "iscrowd": 0,
            }
            for part in (outlines(mask) if row.sample.label in folder.kinds else [])
        ]
        columns = {key: row.columns.get(key) for key in ("source", "group", "parent")}
        return image | columns, marks, (out / "images" / name, data)

    for split in SPLITS:
        if split not in folder.counts:
            continue
        rows = (row for row in folder.rows() if row.split == split)
        count = 0
        # The images come first in the file: annotations are set aside, beyond 16 MiB on disk.
        with (
            SpooledTemporaryFile(1 << 24) as aside,
            open_atomic(out / "annotations" / f"instances_{split}.json") as file,
        ):
            file.write(b'{"info": {"description": "surface defects"}, "licenses": [],\n"categories": ')
            file.write(to_json(categories) + b',\n"images": [')
            waiting: list[tuple[Path, bytes]] = []
            for first, (image, marks, content) in enumerate(folder.map(work, rows, workers)):
                waiting.append(content)
                if len(waiting) == _BATCH:
                    write_missing(waiting)
                    waiting.clear()
                file.write((b",\n" if first else b"\n") + to_json(image))
                for mark in marks:
                    count += 1
                    aside.write((b",\n" if count > 1 else b"\n") + to_json({"id": count, **mark}))
                on_progress(1)
            write_missing(waiting)
            file.write(b'\n],\n"annotations": [')
            aside.seek(0)
            shutil.copyfileobj(aside, file)
            file.write(b"\n]}\n")
