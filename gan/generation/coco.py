"""The COCO annotations of a whole sample folder, written in flat memory from its manifest and its masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from defects.images.decode import read_mask_image
from defects.images.header import image_info
from defects.masks.outlines import area, outlines
from engine.files.atomic import inside, open_atomic, to_json

NAME = "annotations.coco.json"
_SLICE = 64

Row = dict[str, Any]


def write_coco(root: Path, rows: Iterable[Row], again: Iterable[Row], size: int | None, classes: Sequence[str]) -> None:
    """Writes `annotations.coco.json`: one annotation for each connected part, its polygon along the pixels' edges.

    Args:
        root: the sample folder; `file_name` is relative to it.
        rows: the manifest's rows, and
        again: the same once more, for they are gone through twice instead of being kept.
        size: side of the images in px; None where they differ.
        classes: names of the kinds; category ids start at 1.

    Raises:
        OutputError: it cannot be written.
    """
    categories = [{"id": i, "name": name, "supercategory": "defect"} for i, name in enumerate(classes, start=1)]
    images = ({"id": i, "file_name": row["file_name"]} | _sides(root, row, size) for i, row in enumerate(rows, start=1))
    with open_atomic(root / NAME) as file:
        file.write(b'{"info": {"description": "synthetic surface defects"},\n"licenses": [],\n"categories": ')
        file.write(to_json(categories) + b',\n"images": [')
        for i, image in enumerate(images):
            file.write((b",\n" if i else b"\n") + to_json(image))
        file.write(b'\n],\n"annotations": [')
        for i, mark in enumerate(_annotations(root, again, classes), start=1):
            file.write((b",\n" if i > 1 else b"\n") + to_json({"id": i, **mark}))
        file.write(b"\n]}\n")


def _sides(root: Path, row: Row, size: int | None) -> Row:
    height, width = (size, size) if size else image_info(inside(root, row["mask"])).upright
    return {"width": width, "height": height}


def _annotations(root: Path, rows: Iterable[Row], classes: Sequence[str]) -> Iterator[Row]:
    numbered = enumerate(rows, start=1)
    with ThreadPoolExecutor(2) as pool:
        while some := list(islice(numbered, _SLICE)):
            for marks in pool.map(lambda pair: _marks(root, pair[0], pair[1], classes), some):
                yield from marks


def _marks(root: Path, number: int, row: Row, classes: Sequence[str]) -> list[Row]:
    mask, _ = read_mask_image(inside(root, row["mask"]))
    category = classes.index(row["label"]) + 1
    return [
        {
            "image_id": number,
            "category_id": category,
            "segmentation": [part.ravel().tolist()],
            "area": area(part),
            "bbox": [*part.min(axis=0).tolist(), *np.ptp(part, axis=0).tolist()],
            "iscrowd": 0,
        }
        for part in outlines(mask)
    ]
