"""The published BSData folder: `data/<name>.jpg` with labelme outlines in `label/<name>.json`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from defects.formats.listing import ExportRow, ExportRows, Listing, by_stem, list_images
from defects.masks.outlines import INSET, Outline, outlines
from defects.sample import Polygon
from engine.files.atomic import from_json, to_json

VERSION = "5.0.0"

_PLACE = re.compile(r"(\d+)_\d+_(\d+)_\d+_crop_\d+")
_SPINDLE = re.compile(r"(KGT\d+)-.+")
_CROP = re.compile(r"_crop_\d+$")
_NEAR = 5000


def fits(root: Path) -> bool:
    """Whether there are folders `data` and `label` with a labelme file."""
    return (root / "data").is_dir() and (root / "label").is_dir() and any((root / "label").glob("*.json"))


def read(root: Path) -> Listing:
    """Reads the folder; an image without outlines, or without a label file, is good."""
    listing = Listing()
    images = list_images(root / "data", root, listing)
    labels = {path.stem: path for path in sorted((root / "label").glob("*.json"))}
    stems = by_stem(images)
    groups = group_places(stems)
    listing.without_image(labels, stems, "an annotation file", "data/{}.jpg")
    for image in images:
        path = labels.get(image.stem, image)
        polygons: list[tuple[str, Polygon]] | None = []
        if image.stem not in labels:
            remedy = f"add label/{image.stem}.json if it is not"
            listing.warn(image, "has no label file and counts as good", remedy, "E-format-label-missing")
        else:
            polygons = read_outlines(path, listing) if listing.contains(path, root) else None
        if polygons is not None:
            classes, points = [label for label, _ in polygons], [points for _, points in polygons]
            listing.annotated(image.stem, image, path, classes, points, group=groups[image.stem])
    return listing


def group_places(stems: Iterable[str]) -> dict[str, str]:
    """The group of each image: which images show the same place of a spindle.

    Names are `01_<time>_<position>_<angle>_crop_<n>`: one place is imaged for days while its pitting grows, in crops
    whose number depends on the day and not on the place. Position (micrometers) and angle (degrees) go along the
    thread together, 2,500 to each 45, and an image covers about three such steps: places at most two steps apart are
    chained, as they show the same pit from two sides (395000_270 and 397500_315 do; in these images the pit's outline
    is the same day for day). The rest, `KGT<n>-<side>-<shot>-A<pass>_crop_<n>`, pass round the same spindle every 49
    shots or so and overlap within a pass, so that one spindle is one group. The development set's 324 images fall
    into 15 groups: 13 places and 2 spindles.
    """
    groups: dict[str, str] = {}
    places: list[tuple[str, int, str]] = []
    for stem in stems:
        match = _PLACE.fullmatch(stem)
        if match:
            places.append((match[1], int(match[2]), stem))
            continue
        match = _SPINDLE.fullmatch(stem)
        groups[stem] = f"spindle_{match[1]}" if match else _CROP.sub("", stem)
    last: tuple[str, int] | None = None
    current = ""
    for spindle, position, stem in sorted(places):
        if last is None or last[0] != spindle or position - last[1] > _NEAR:
            current = f"place_{spindle}_{position}"
        groups[stem] = current
        last = (spindle, position)
    return groups


def read_outlines(path: Path, listing: Listing) -> list[tuple[str, Polygon]] | None:
    """Class and outline, px, of every polygon and rectangle of a labelme file; None, with an issue, if unreadable."""
    try:
        content = from_json(path.read_text(encoding="utf-8"))
        shapes = [_outline(shape) for shape in content["shapes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"not a readable labelme file ({type(error).__name__})"
        listing.issue(path, what, "export it again from labelme", "E-format-bad-annotation")
        return None
    polygons = [(label, points) for label, points in shapes if len(points) >= 3]
    if len(polygons) < len(shapes):
        what = f"{len(shapes) - len(polygons)} shapes are neither polygon nor rectangle and are left out"
        listing.warn(path, what, "outline them as polygons", "E-format-shape-left-out")
    return polygons


def _outline(shape: dict[str, Any]) -> tuple[str, Polygon]:
    """Class and points of one shape; no points for one that encloses nothing."""
    points = tuple((float(x), float(y)) for x, y in shape["points"])
    label = str(shape["label"]).strip().lower() or "defect"
    form = shape.get("shape_type") or "polygon"
    if form == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        points = ((left, top), (right, top), (right, bottom), (left, bottom))
    elif form != "polygon":
        points = ()
    return label, points


def label_json(parts: Sequence[Outline], shape: tuple[int, int], label: str, image: str, folder: str) -> bytes:
    """The labelme file of an image.

    Args:
        parts: Outlines in px, traced with `INSET`.
        shape: (height, width) of the image, px.
        label: Class of the defect.
        image: Path of the image, and
        folder: of the labelme file, both relative to the same folder.
    """
    shapes: list[dict[str, Any]] = [
        {
            "label": label,
            "points": part.round(2).tolist(),
            "group_id": None,
            "shape_type": "polygon",
            "flags": {},
        }
        for part in parts
    ]
    return to_json(
        {
            "version": VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": os.path.relpath(image, folder).replace(os.sep, "/"),
            "imageData": None,
            "imageHeight": shape[0],
            "imageWidth": shape[1],
        }
    )


def write(source: ExportRows, out: Path, *, on_progress: Callable[[int], object], workers: int = 2) -> None:
    """Writes `data/` and `label/`; a good image has a file without outlines. The splits are not stored.

    Raises:
        DataError: An image or mask does not open.
        OutputError: A file cannot be written.
    """

    def work(row: ExportRow) -> list[tuple[Path, bytes]]:
        data, mask = row.read()
        label, name = row.sample.label, source.plain_name(row)
        parts = outlines(mask, INSET) if label in source.classes else []
        text = label_json(parts, mask.shape, label, f"data/{name}{row.suffix}", "label")
        return [(out / "data" / f"{name}{row.suffix}", data), (out / "label" / f"{name}.json", text)]

    source.write_files(work, source.rows, on_progress, workers)
