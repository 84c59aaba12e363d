"""The YOLO segmentation folder: `images/`, `labels/*.txt` with outlines, `data.yaml` with the names of the kinds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from defects.formats.listing import Found, list_images, stays_inside
from defects.sample import GOOD, Polygon, Sample
from engine.errors import DataError


def fits(root: Path) -> bool:
    """Whether there are folders `images` and `labels`, the latter with text files."""
    return (root / "images").is_dir() and (root / "labels").is_dir() and any((root / "labels").rglob("*.txt"))


def read(root: Path) -> Found:
    """Read the folder, split folders within included; an image without a label file, or with an empty one, is good."""
    found = Found()
    names = _names(root, found)
    images = list_images(root / "images", root, found, deep=True)
    keys = [image.relative_to(root / "images").with_suffix("").as_posix() for image in images]
    for path in sorted((root / "labels").rglob("*.txt")):
        key = path.relative_to(root / "labels").with_suffix("").as_posix()
        if key not in set(keys) and path.name != "classes.txt":
            found.issue(path, "annotates a picture that is not there", f"add images/{key}.jpg or remove the file")
    for key, image in zip(keys, images, strict=True):
        path = root / "labels" / f"{key}.txt"
        outlines: list[tuple[str, Polygon]] | None = []
        if path.is_file():
            outlines = _outlines(path, root, image, names, found)
        if outlines is None:
            continue
        kinds = [kind for kind, _ in outlines]
        label = max(sorted(set(kinds)), key=kinds.count) if kinds else GOOD
        if len(set(kinds)) > 1:
            found.warn(path, f"holds several kinds ({', '.join(sorted(set(kinds)))})", f"the picture counts as {label}")
        found.samples.append(
            Sample(name=key, image=image, polygons=tuple(polygon for _, polygon in outlines), label=label)
        )
    return found


def _outlines(
    path: Path, root: Path, image: Path, names: dict[int, str], found: Found
) -> list[tuple[str, Polygon]] | None:
    """Kind and pixel outline of every line; None, with a fault noted, when one is wrong."""
    from defects.images.header import image_info

    if not stays_inside(path, root):
        found.issue(path, "a symlink that leaves the folder", "copy the file itself into the folder")
        return None
    outlines: list[tuple[str, Polygon]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        height, width = image_info(image).upright if any(line.strip() for line in lines) else (1, 1)
    except DataError:
        return []  # the image's own fault is found when it is opened
    except (OSError, UnicodeDecodeError):
        found.issue(path, "not a readable text file", "export the annotations again")
        return None
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            kind, values = int(fields[0]), [float(field) for field in fields[1:]]
        except ValueError:
            kind, values = -1, []
        if kind < 0 or len(values) not in (4, *range(6, 100_000, 2)) or not all(map(math.isfinite, values)):
            found.issue(f"{path}:{number}", "expected a kind number and x y pairs", "export the annotations again")
            return None
        if not all(-0.01 <= value <= 1.01 for value in values):
            found.issue(f"{path}:{number}", "a coordinate is not within 0 to 1", "export them relative to the size")
            return None
        if len(values) == 4:  # a box: centre and size
            x, y, w, h = values
            found.warn(f"{path}:{number}", "a box instead of an outline", "taken as a rectangle; outline the defect")
            values = [x - w / 2, y - h / 2, x + w / 2, y - h / 2, x + w / 2, y + h / 2, x - w / 2, y + h / 2]
        points = tuple((x * width, y * height) for x, y in zip(values[::2], values[1::2], strict=True))
        outlines.append((names.get(kind, f"kind_{kind}"), points))
    return outlines


def _names(root: Path, found: Found) -> dict[int, str]:
    """The kinds by number, from `data.yaml` or `dataset.yaml`; none when there is no such file."""
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
            found.issue(path, "holds no readable list of names", "write names: [crack, pit, ...] there")
    return {}
