"""COCO: `*.json` with images, annotations and categories; outlines or run lengths are read, outlines written."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defects.formats.listing import SPLITS, ExportRow, ExportRows, Listing, stays_inside, write_missing
from defects.images.decode import read_mask_image
from defects.masks.outlines import area, outlines
from defects.sample import Polygon
from engine.errors import DataError
from engine.files.atomic import from_json, inside, open_atomic, to_json

NAME = "annotations.coco.json"

_BATCH = 64
# The bytes of both commands' files are pinned, white space included.
_SYNTHETIC = b'{"info": {"description": "synthetic surface defects"},\n"licenses": []'
_EXPORTED = b'{"info": {"description": "surface defects"}, "licenses": []'

Entry = tuple[dict[str, Any], list[dict[str, Any]]]
"""An image and its annotations."""


def fits(root: Path) -> bool:
    """Whether a JSON file here or in `annotations/` is of COCO's form."""
    return any(_is_coco(path) for path in _files(root))


def read(root: Path) -> Listing:
    """Reads every annotation file; images lie next to it, in `images/` or where `file_name` says, from the root."""
    listing = Listing()
    images: dict[str, Path] = {}
    for path in _files(root):
        if not _is_coco(path) or not listing.contains(path, root):
            continue
        try:
            _read_file(path, root, listing, images)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"not a readable COCO file ({type(error).__name__}: {error})"
            listing.issue(path, what, "export it again", "E-format-bad-annotation")
    return listing


def _read_file(path: Path, root: Path, listing: Listing, images: dict[str, Path]) -> None:
    content: dict[str, Any] = from_json(path.read_text(encoding="utf-8"))
    classes = {entry["id"]: str(entry["name"]).strip().lower() for entry in content.get("categories", [])}
    marks: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for mark in content.get("annotations", []):
        marks[mark["image_id"]].append(mark)
    for entry in content["images"]:
        file_name = str(entry["file_name"])
        try:
            image = _locate(root, path.parent, file_name)
        except DataError as error:
            what, _, remedy = str(error).partition("; ")
            listing.issue(path, what.removeprefix(f"{root}: "), remedy, error.code)
            continue
        if image is None:
            what = f"lists {file_name}, which is missing"
            listing.issue(path, what, "add it to images/ or export again", "E-format-image-missing")
            continue
        name = Path(file_name).with_suffix("").as_posix()
        earlier = images.get(name.casefold())
        if earlier is not None:
            what = f"lists {file_name} although {earlier.name} has that name already"
            listing.issue(path, what, "rename one of them", "E-format-duplicate-name")
            continue
        images[name.casefold()] = image
        _add_sample(path, name, image, marks.pop(entry["id"], []), classes, listing)
    for orphan in marks:
        what = f"annotates image id {orphan}, which it does not list"
        listing.issue(path, what, "export the annotations again", "E-format-image-missing")


def _add_sample(
    path: Path, name: str, image: Path, marks: list[dict[str, Any]], classes: dict[Any, str], listing: Listing
) -> None:
    polygons: list[Polygon] = []
    runs: list[dict[str, Any]] = []
    labels: list[str] = []
    for mark in marks:
        shape = mark.get("segmentation")
        if isinstance(shape, dict):
            runs.append(shape)
        elif shape:
            polygons += [
                tuple((float(x), float(y)) for x, y in zip(flat[::2], flat[1::2], strict=True)) for flat in shape
            ]
        elif mark.get("bbox"):
            x, y, w, h = (float(value) for value in mark["bbox"])
            polygons.append(((x, y), (x + w, y), (x + w, y + h), (x, y + h)))
            remedy = "read as a rectangle; outline the defect"
            listing.warn(path, f"{name} has a box instead of an outline", remedy, "E-format-box-only")
        else:
            continue
        labels.append(classes.get(mark.get("category_id"), f"kind_{mark.get('category_id')}"))
    listing.annotated(name, image, path, labels, polygons, metadata={"rle": tuple(runs)} if runs else {})


def _locate(root: Path, folder: Path, file_name: str) -> Path | None:
    """Where an image lies; None when nowhere."""
    candidates = [inside(base, file_name) for base in (root, root / "images", folder)]
    return next((path for path in candidates if path.is_file() and stays_inside(path, root)), None)


def _files(root: Path) -> list[Path]:
    return sorted([*root.glob("*.json"), *(root / "annotations").glob("*.json")])


def _is_coco(path: Path) -> bool:
    """Whether the file contains the lists a COCO file must."""
    try:
        content = from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and isinstance(content.get("images"), list) and "annotations" in content


def annotations_of(mask: NDArray[np.bool_], image_id: int, class_id: int) -> list[dict[str, Any]]:
    """One annotation for each connected part of a mask (H, W), without its id.

    The outlines follow the edges of the pixels, so that they enclose exactly the mask.
    """
    return [
        {
            "image_id": image_id,
            "category_id": class_id,
            "segmentation": [part.ravel().tolist()],
            "area": area(part),
            "bbox": [*part.min(axis=0).tolist(), *np.ptp(part, axis=0).tolist()],
            "iscrowd": 0,
        }
        for part in outlines(mask)
    ]


def _write_file(path: Path, head: bytes, classes: Sequence[str], entries: Iterable[Entry]) -> None:
    """Writes a file in flat memory: images come first in it, so annotations wait, beyond 16 MiB on disk."""
    categories = [{"id": i, "name": name, "supercategory": "defect"} for i, name in enumerate(classes, start=1)]
    count = 0
    with SpooledTemporaryFile(1 << 24) as waiting, open_atomic(path) as file:
        file.write(head + b',\n"categories": ' + to_json(categories) + b',\n"images": [')
        for number, (image, marks) in enumerate(entries):
            file.write((b",\n" if number else b"\n") + to_json(image))
            for mark in marks:
                count += 1
                waiting.write((b",\n" if count > 1 else b"\n") + to_json({"id": count, **mark}))
        file.write(b'\n],\n"annotations": [')
        waiting.seek(0)
        shutil.copyfileobj(waiting, file)
        file.write(b"\n]}\n")


def write_annotations(root: Path, rows: Iterable[Mapping[str, Any]], classes: Sequence[str]) -> None:
    """Writes `annotations.coco.json` of a sample folder whose images and masks are there.

    Args:
        root: The sample folder; `file_name` is relative to it.
        rows: The manifest's rows.
        classes: Names of the defect classes; category ids start at 1.

    Raises:
        DataError: A mask does not open.
        OutputError: The file cannot be written.
    """

    def work(numbered: tuple[int, Mapping[str, Any]]) -> Entry:
        number, row = numbered
        mask, _ = read_mask_image(inside(root, row["mask"]))
        image = {"id": number, "file_name": row["file_name"], "width": mask.shape[1], "height": mask.shape[0]}
        return image, annotations_of(mask, number, classes.index(row["label"]) + 1)

    def entries() -> Iterator[Entry]:
        remaining = enumerate(rows, start=1)
        with ThreadPoolExecutor(2) as pool:
            while batch := list(islice(remaining, _BATCH)):
                yield from pool.map(work, batch)

    _write_file(root / NAME, _SYNTHETIC, classes, entries())


def write(source: ExportRows, out: Path, *, on_progress: Callable[[int], object], workers: int = 2) -> None:
    """Writes `images/<split>/` and `annotations/instances_<split>.json`; file names are relative to `images/`.

    Raises:
        DataError: An image or mask does not open.
        OutputError: A file cannot be written.
    """
    classes = source.classes

    def work(row: ExportRow) -> tuple[Entry, tuple[Path, bytes]]:
        data, mask = row.read()
        name, label = f"{row.split}/{row.flat}{row.suffix}", row.sample.label
        image = {"id": row.number + 1, "file_name": name, "width": mask.shape[1], "height": mask.shape[0]}
        columns = {"source": row.sample.source, "group": row.sample.group, "parent": row.sample.metadata.get("parent")}
        marks = annotations_of(mask, row.number + 1, classes.index(label) + 1) if label in classes else []
        return (image | columns, marks), (out / "images" / name, data)

    def entries(split: str) -> Iterator[Entry]:
        waiting: list[tuple[Path, bytes]] = []
        for entry, content in source.map(work, (row for row in source.rows if row.split == split), workers):
            waiting.append(content)
            if len(waiting) == _BATCH:
                write_missing(waiting)
                waiting.clear()
            yield entry
            on_progress(1)
        write_missing(waiting)

    for split in SPLITS:
        if split in source.counts:
            _write_file(out / "annotations" / f"instances_{split}.json", _EXPORTED, classes, entries(split))
