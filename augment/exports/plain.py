"""Exports that are files beside files: MVTec AD and YOLO segmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from augment.exports.rows import SPLITS, Folder, Row
from augment.exports.target import write_missing
from defects.images.decode import encode_image
from defects.masks.outlines import INSET, outlines
from defects.sample import GOOD
from engine.files.atomic import to_json, write_text

Files = list[tuple[Path, bytes]]
Tell = Callable[[int], object]


def write_mvtec(folder: Folder, out: Path, *, on_progress: Tell, workers: int = 2) -> None:
    """MVTec AD: good ones to train on; good and defective ones to test on, with `ground_truth`.

    The form has no place for validation and for defects to train on: see `mvtec_left_out`.
    """

    def work(row: Row) -> Files:
        data, _, mask = row.read()
        files = [(out / row.split / row.sample.label / f"{row.flat}.png", data)]
        if row.sample.label != GOOD:
            files.append((out / "ground_truth" / row.sample.label / f"{row.flat}_mask.png", encode_image(mask)))
        return files

    _write(folder, (row for row in folder.rows() if _in_mvtec(row)), work, on_progress, workers)


def mvtec_left_out(folder: Folder) -> dict[str, int]:
    """How many images MVTec AD has no place for, by split."""
    counts: dict[str, int] = {}
    for row in folder.rows():
        if not _in_mvtec(row):
            counts[row.split] = counts.get(row.split, 0) + 1
    return counts


def write_yolo(folder: Folder, out: Path, *, on_progress: Tell, workers: int = 2) -> None:
    """YOLO segmentation: `images/<split>`, `labels/<split>` and `data.yaml`; a good image has an empty label file."""

    def work(row: Row) -> Files:
        data, (height, width), mask = row.read()
        lines = []
        for part in outlines(mask, INSET) if row.sample.label in folder.kinds else []:
            values = " ".join(f"{value:.7g}" for value in (part / (width, height)).ravel().tolist())
            lines.append(f"{folder.kinds.index(row.sample.label)} {values}\n")
        return [
            (out / "images" / row.split / f"{row.flat}.png", data),
            (out / "labels" / row.split / f"{row.flat}.txt", "".join(lines).encode()),
        ]

    _write(folder, folder.rows(), work, on_progress, workers)
    names = "".join(f"  {number}: {to_json(kind).decode()}\n" for number, kind in enumerate(folder.kinds))
    splits = "".join(f"{split}: images/{split}\n" for split in SPLITS if split in folder.counts)
    if "val" not in folder.counts:
        splits += f"val: images/{'test' if 'test' in folder.counts else 'train'}\n"
    write_text(out / "data.yaml", f"path: .\n{splits}names:\n{names}")


def _in_mvtec(row: Row) -> bool:
    return row.split == "test" or (row.split == "train" and row.sample.label == GOOD)


def _write(folder: Folder, rows: Iterator[Row], work: Callable[[Row], Files], tell: Tell, workers: int) -> None:
    def files() -> Iterator[tuple[Path, bytes]]:
        for made in folder.map(work, rows, workers):
            yield from made
            tell(1)

    write_missing(files())
