"""The YOLO segmentation folder: `images/`, `labels/*.txt` with outlines, `data.yaml` with the names of the classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from defects.formats.listing import SPLITS, ExportRow, ExportRows, Listing, list_images
from defects.masks.outlines import INSET, Outline, outlines
from defects.sample import Polygon
from engine.errors import DataError
from engine.files.atomic import to_json, write_text


def fits(root: Path) -> bool:
    """Whether there are folders `images` and `labels`, the latter with text files."""
    return (root / "images").is_dir() and (root / "labels").is_dir() and any((root / "labels").rglob("*.txt"))


def read(root: Path) -> Listing:
    """Reads the folder, split folders included; an image without a label file, or with an empty one, is good."""
    listing = Listing()
    names = _names(root, listing)
    images = list_images(root / "images", root, listing, deep=True)
    keys = [image.relative_to(root / "images").with_suffix("").as_posix() for image in images]
    labels = (path for path in (root / "labels").rglob("*.txt") if path.name != "classes.txt")
    found = {path.relative_to(root / "labels").with_suffix("").as_posix(): path for path in labels}
    listing.without_image(found, keys, "an annotation file", "images/{}.jpg")
    for key, image in zip(keys, images, strict=True):
        path = root / "labels" / f"{key}.txt"
        polygons: list[tuple[str, Polygon]] | None = []
        if path.is_file():
            polygons = _read_outlines(path, root, image, names, listing)
        if polygons is not None:
            listing.annotated(key, image, path, [label for label, _ in polygons], [points for _, points in polygons])
    return listing


def _read_outlines(
    path: Path, root: Path, image: Path, names: Mapping[int, str], listing: Listing
) -> list[tuple[str, Polygon]] | None:
    """Class and outline, px, of every line; None, with an issue, when one is wrong."""
    from defects.images.decode import image_info

    if not listing.contains(path, root):
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        height, width = image_info(image).upright if any(line.strip() for line in lines) else (1, 1)
    except DataError:
        return []  # the image's own issue is reported when it is opened
    except (OSError, UnicodeDecodeError):
        listing.issue(path, "not a readable text file", "export the annotations again", "E-format-bad-annotation")
        return None
    polygons: list[tuple[str, Polygon]] = []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        where = f"{path}:{number}"
        try:
            index, values = int(fields[0]), [float(field) for field in fields[1:]]
        except ValueError:
            index, values = -1, []
        if index < 0 or len(values) not in (4, *range(6, 100_000, 2)) or not all(map(math.isfinite, values)):
            what = "expected a class number and x y pairs"
            listing.issue(where, what, "export the annotations again", "E-format-bad-annotation")
            return None
        if not all(-0.01 <= value <= 1.01 for value in values):
            what = "a coordinate is not within 0 to 1"
            listing.issue(where, what, "export them relative to the size", "E-format-bad-annotation")
            return None
        if len(values) == 4:  # a box: center and size
            x, y, w, h = values
            remedy = "read as a rectangle; outline the defect"
            listing.warn(where, "a box instead of an outline", remedy, "E-format-box-only")
            values = [x - w / 2, y - h / 2, x + w / 2, y - h / 2, x + w / 2, y + h / 2, x - w / 2, y + h / 2]
        points = tuple((x * width, y * height) for x, y in zip(values[::2], values[1::2], strict=True))
        polygons.append((names.get(index, f"kind_{index}"), points))
    return polygons


def _names(root: Path, listing: Listing) -> dict[int, str]:
    """The classes by number, from `data.yaml` or `dataset.yaml`; none when there is no such file."""
    import yaml

    for path in (root / "data.yaml", root / "dataset.yaml"):
        if not path.is_file():
            continue
        try:
            content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
            names = content["names"]
            pairs = names.items() if isinstance(names, dict) else enumerate(names)
            return {int(number): str(name).strip().lower() for number, name in pairs}
        except (OSError, ValueError, TypeError, KeyError, RecursionError, yaml.YAMLError):
            remedy = "write names: [crack, pit, ...] there"
            listing.issue(path, "has no readable list of names", remedy, "E-format-bad-annotation")
    return {}


def label_text(parts: Sequence[Outline], shape: tuple[int, int], class_index: int) -> str:
    """The label file of an image: `class x y x y ...` a line, coordinates relative to the size.

    Args:
        parts: Outlines in px, traced with `INSET`.
        shape: (height, width) of the image, px.
        class_index: From 0, as in `data.yaml`.
    """
    lines = (" ".join(f"{value:.7g}" for value in (part / shape[::-1]).ravel().tolist()) for part in parts)
    return "".join(f"{class_index} {line}\n" for line in lines)


def data_yaml(classes: Sequence[str], splits: Mapping[str, str]) -> str:
    """The `data.yaml` of a folder: image folder by split, and the classes by number."""
    names = "".join(f"  {number}: {to_json(name).decode()}\n" for number, name in enumerate(classes))
    folders = "".join(f"{split}: {folder}\n" for split, folder in splits.items())
    return f"path: .\n{folders}names:\n{names}"


def write(source: ExportRows, out: Path, *, on_progress: Callable[[int], object], workers: int = 2) -> None:
    """Writes `images/<split>`, `labels/<split>` and `data.yaml`; a good image has an empty label file.

    Raises:
        DataError: An image or mask does not open.
        OutputError: A file cannot be written.
    """

    def work(row: ExportRow) -> list[tuple[Path, bytes]]:
        data, mask = row.read()
        text = ""
        if row.sample.label in source.classes:
            text = label_text(outlines(mask, INSET), mask.shape, source.classes.index(row.sample.label))
        return [
            (out / "images" / row.split / f"{row.flat}{row.suffix}", data),
            (out / "labels" / row.split / f"{row.flat}.txt", text.encode()),
        ]

    source.write_files(work, source.rows, on_progress, workers)
    splits = {split: f"images/{split}" for split in SPLITS if split in source.counts}
    splits.setdefault("val", f"images/{'test' if 'test' in splits else 'train'}")
    write_text(out / "data.yaml", data_yaml(source.classes, splits))
