"""The published magnetic-tile folder: `MT_<class>/Imgs/<name>.jpg` with `<name>.png` as mask."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from defects.formats.listing import Listing, by_stem, list_images, subfolders
from defects.sample import GOOD, Sample

_PREFIX = "MT_"
_NAME = re.compile(r"exp(\d+)_num_(\d+)")
_NEAR = 130
_FAR = 1500
_AGAIN = ((9196, 10642), (53049, 65043))  # one tile each, taken again much later


def fits(root: Path) -> bool:
    """Whether there is a folder `MT_<class>/Imgs`."""
    return any(folder.name.startswith(_PREFIX) and (folder / "Imgs").is_dir() for folder in subfolders(root))


def read(root: Path) -> Listing:
    """Reads the folder; `MT_Free` is `good`, any other class its name in lower case."""
    listing = Listing()
    entries: list[tuple[str, Path, Path | None, str]] = []
    for folder in subfolders(root):
        if not folder.name.startswith(_PREFIX):
            continue
        name = folder.name.removeprefix(_PREFIX).lower()
        label = GOOD if name == "free" else name
        images = list_images(folder / "Imgs", root, listing, extensions={".jpg", ".jpeg"})
        masks = by_stem(list_images(folder / "Imgs", root, listing, extensions={".png"}))
        listing.without_image(masks, (image.stem for image in images), "a mask", "{}.jpg")
        for image in images:
            if image.stem not in masks and label != GOOD:
                remedy = f"add {image.stem}.png next to it, or move it to MT_Free"
                listing.issue(image, "its mask is missing", remedy, "E-format-mask-missing")
                continue
            entries.append((f"{folder.name}/{image.stem}", image, masks.get(image.stem), label))
    groups = group_shots(image.stem for _, image, _, _ in entries)
    listing.samples = [
        Sample(name=name, image=image, mask=mask, label=label, group=groups.get(image.stem, ""))
        for name, image, mask, label in entries
    ]
    return listing


def group_shots(stems: Iterable[str]) -> dict[str, str]:
    """The group of each shot: which shots show the same tile, by names `exp<shutter>_num_<number>`.

    A name of another form has no group. The numbers count through one film of all tiles. Each tile is taken under
    shutter times 1 to 6 in turn, mostly 10 to 50 numbers apart (at most 1,257); the next tile usually follows hundreds
    further on, but sometimes after only 7. So the shutter time decides, not the number alone: it rises within a tile
    and falls to the next. Neighboring numbers are chained, across the classes, when the shutter time rises and the step
    is at most 1,500, or when the step is at most 130 whatever the shutter time, since some tiles were taken twice in a
    row (304811 and 304836 are two tiles, 320864 and 320895 are one: joining too much costs little, too little leaks).

    The 988 development images fall into 153 groups, 132 of them of 6 shots. Verified by matching the texture of every
    group with every other's (template matching on images with the illumination removed): 0.70 and more for 95 % of the
    pairs within a group, at most 0.61 between groups, except for two tiles taken again much later, which a look at the
    images confirms and `_AGAIN` lists.
    """
    shots: list[tuple[int, int, str]] = []
    for stem in stems:
        match = _NAME.fullmatch(stem)
        if match:
            shots.append((int(match[2]), int(match[1]), stem))
    groups: dict[str, str] = {}
    renamed: dict[str, str] = {}
    of_number: dict[int, str] = {}
    current = ""
    last: tuple[int, int] | None = None
    for number, shutter, stem in sorted(shots):
        step = number - last[0] if last else 0
        if last is None or not (step <= _NEAR or (shutter > last[1] and step <= _FAR)):
            current = f"tile_{number}"
        groups[stem] = current
        of_number[number] = current
        last = (number, shutter)
    for first, again in _AGAIN:
        if first in of_number and again in of_number:
            renamed[of_number[again]] = of_number[first]
    return {stem: renamed.get(group, group) for stem, group in groups.items()}
