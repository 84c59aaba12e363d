"""The published BSData folder: `data/<name>.jpg` with labelme outlines in `label/<name>.json`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from defects.formats.listing import Found, by_stem, list_images, stays_inside
from defects.sample import GOOD, Polygon, Sample
from engine.files.atomic import from_json

_PLACE = re.compile(r"(\d+)_\d+_(\d+)_\d+_crop_\d+")
_SPINDLE = re.compile(r"(KGT\d+)-.+")
_CROP = re.compile(r"_crop_\d+$")
_NEAR = 5000


def fits(root: Path) -> bool:
    """Whether there are folders `data` and `label` with a labelme file."""
    return (root / "data").is_dir() and (root / "label").is_dir() and any((root / "label").glob("*.json"))


def read(root: Path) -> Found:
    """Read the folder; an image without outlines, or without a label file, is good."""
    found = Found()
    images = list_images(root / "data", root, found)
    labels = {path.stem: path for path in sorted((root / "label").glob("*.json"))}
    stems = by_stem(images)
    groups = group_places(stems)
    for stem, path in labels.items():
        if stem not in stems:
            found.issue(path, "annotates a picture that is not there", f"add data/{stem}.jpg or remove the file")
    for image in images:
        file = labels.get(image.stem)
        polygons: tuple[Polygon, ...] = ()
        label = GOOD
        if file is None:
            found.warn(image, "has no label file and is taken as good", f"add label/{image.stem}.json if it is not")
        elif not stays_inside(file, root):
            found.issue(file, "a symlink that leaves the folder", "copy the file itself into the folder")
            continue
        else:
            outlines = read_labelme(file, found)
            if outlines is None:
                continue
            polygons, label = outlines
        found.samples.append(
            Sample(name=image.stem, image=image, polygons=polygons, label=label, group=groups[image.stem])
        )
    return found


def group_places(stems: Iterable[str]) -> dict[str, str]:
    """Which pictures show one place of a spindle.

    Names are `01_<time>_<position>_<angle>_crop_<n>`: one place is photographed for days while its pitting grows, in
    crops whose number depends on the day and not on the place. Position (micrometres) and angle (degrees) go along the
    thread together, 2,500 to each 45, and a picture shows about three such steps: places at most two steps apart are
    chained, as they show the same pit from two sides (395000_270 and 397500_315 do; seen in the pictures, the pit's
    outline is the same day for day). The rest, `KGT<n>-<side>-<shot>-A<pass>_crop_<n>`, pass round the same spindle
    every 49 shots or so and overlap within a pass, so that one spindle is one group. The development set's 324
    pictures fall into 15 groups: 13 places and 2 spindles.
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


def read_labelme(path: Path, found: Found) -> tuple[tuple[Polygon, ...], str] | None:
    """The outlines of one labelme file and the kind of most of them; None, with a fault noted, if unreadable."""
    try:
        content = from_json(path.read_text(encoding="utf-8"))
        shapes = [_outline(shape) for shape in content["shapes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        found.issue(path, f"not a readable labelme file ({type(error).__name__})", "export it again from labelme")
        return None
    kept = [shape for shape in shapes if len(shape[1]) >= 3]
    if len(kept) < len(shapes):
        found.warn(
            path,
            f"{len(shapes) - len(kept)} shapes are neither polygon nor rectangle and are left out",
            "draw them as polygons",
        )
    if not kept:
        return (), GOOD
    kinds = [kind for kind, _ in kept]
    label = max(sorted(set(kinds)), key=kinds.count)
    if len(set(kinds)) > 1:
        found.warn(path, f"holds several kinds ({', '.join(sorted(set(kinds)))})", f"the picture counts as {label}")
    return tuple(polygon for _, polygon in kept), label


def _outline(shape: dict[str, Any]) -> tuple[str, Polygon]:
    """Kind and points of one shape; no points for one that encloses nothing."""
    points = tuple((float(x), float(y)) for x, y in shape["points"])
    kind = str(shape["label"]).strip().lower() or "defect"
    form = shape.get("shape_type") or "polygon"
    if form == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        points = ((left, top), (right, top), (right, bottom), (left, bottom))
    elif form != "polygon":
        points = ()
    return kind, points
