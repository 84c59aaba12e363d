"""COCO annotations: one or more `*.json` with images, annotations and categories; outlines or run lengths."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from defects.formats.listing import Found, stays_inside
from defects.sample import GOOD, Polygon, Sample
from engine.errors import DataError
from engine.files.atomic import from_json, inside


def fits(root: Path) -> bool:
    """Whether a JSON file here or in `annotations/` is of COCO's form."""
    return any(_is_coco(path) for path in _files(root))


def read(root: Path) -> Found:
    """Read every annotation file; images lie beside it, in `images/` or where `file_name` says, from the root."""
    found = Found()
    seen: dict[str, Path] = {}
    for path in _files(root):
        if not _is_coco(path):
            continue
        if not stays_inside(path, root):
            found.issue(path, "a symlink that leaves the folder", "copy the file itself into the folder")
            continue
        try:
            _read_file(path, root, found, seen)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            found.issue(path, f"not a readable COCO file ({type(error).__name__}: {error})", "export it again")
    return found


def _read_file(path: Path, root: Path, found: Found, seen: dict[str, Path]) -> None:
    content: dict[str, Any] = from_json(path.read_text(encoding="utf-8"))
    kinds = {entry["id"]: str(entry["name"]).strip().lower() for entry in content.get("categories", [])}
    marks: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for mark in content.get("annotations", []):
        marks[mark["image_id"]].append(mark)
    for entry in content["images"]:
        file_name = str(entry["file_name"])
        try:
            image = _locate(root, path.parent, file_name)
        except DataError as error:
            what, _, remedy = str(error).partition("; ")
            found.issue(path, what.removeprefix(f"{root}: "), remedy)
            continue
        if image is None:
            found.issue(path, f"lists {file_name}, which is not there", "add it to images/ or export again")
            continue
        name = Path(file_name).with_suffix("").as_posix()
        earlier = seen.get(name.casefold())
        if earlier is not None:
            found.issue(path, f"lists {file_name} although {earlier.name} has that name already", "rename one of them")
            continue
        seen[name.casefold()] = image
        found.samples.append(_sample(path, name, image, marks.pop(entry["id"], []), kinds, found))
    for orphan in marks:
        found.issue(path, f"annotates image id {orphan}, which it does not list", "export the annotations again")


def _sample(
    path: Path, name: str, image: Path, marks: list[dict[str, Any]], kinds: dict[Any, str], found: Found
) -> Sample:
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
            found.warn(path, f"{name} has a box instead of an outline", "taken as a rectangle; outline the defect")
        else:
            continue
        labels.append(kinds.get(mark.get("category_id"), f"kind_{mark.get('category_id')}"))
    label = max(sorted(set(labels)), key=labels.count) if labels else GOOD
    if len(set(labels)) > 1:
        found.warn(path, f"{name} holds several kinds ({', '.join(sorted(set(labels)))})", f"it counts as {label}")
    return Sample(
        name=name, image=image, polygons=tuple(polygons), label=label, metadata={"rle": tuple(runs)} if runs else {}
    )


def _locate(root: Path, folder: Path, file_name: str) -> Path | None:
    """Where an image lies; None when nowhere."""
    candidates = [inside(base, file_name) for base in (root, root / "images", folder)]
    return next((path for path in candidates if path.is_file() and stays_inside(path, root)), None)


def _files(root: Path) -> list[Path]:
    return sorted([*root.glob("*.json"), *(root / "annotations").glob("*.json")])


def _is_coco(path: Path) -> bool:
    """Whether the file holds the lists a COCO file must."""
    try:
        content = from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and isinstance(content.get("images"), list) and "annotations" in content
