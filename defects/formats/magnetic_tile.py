"""The published magnetic-tile folder: `MT_<kind>/Imgs/<name>.jpg` with `<name>.png` as mask."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from defects.formats.listing import Found, by_stem, list_images, subfolders
from defects.sample import GOOD, Sample

_PREFIX = "MT_"
_NAME = re.compile(r"exp(\d+)_num_(\d+)")
_NEAR = 130
_FAR = 1500
_AGAIN = ((9196, 10642), (53049, 65043))  # one tile each, taken again much later


def fits(root: Path) -> bool:
    """Whether there is a folder `MT_<kind>/Imgs`."""
    return any(folder.name.startswith(_PREFIX) and (folder / "Imgs").is_dir() for folder in subfolders(root))


def read(root: Path) -> Found:
    """Read the folder; `MT_Free` is `good`, any other kind its name in lower case."""
    found = Found()
    entries: list[tuple[str, Path, Path | None, str]] = []
    for folder in subfolders(root):
        if not folder.name.startswith(_PREFIX):
            continue
        kind = folder.name.removeprefix(_PREFIX).lower()
        label = GOOD if kind == "free" else kind
        images = list_images(folder / "Imgs", root, found, extensions={".jpg", ".jpeg"})
        masks = by_stem(list_images(folder / "Imgs", root, found, extensions={".png"}))
        stems = {image.stem for image in images}
        for stem, mask in masks.items():
            if stem not in stems:
                found.issue(mask, "a mask without its image", f"add {stem}.jpg or remove the mask")
        for image in images:
            if image.stem not in masks and label != GOOD:
                found.issue(image, "its mask is missing", f"add {image.stem}.png beside it, or move it to MT_Free")
                continue
            entries.append((f"{folder.name}/{image.stem}", image, masks.get(image.stem), label))
    groups = group_shots(image.stem for _, image, _, _ in entries)
    found.samples = [
        Sample(name=name, image=image, mask=mask, label=label, group=groups.get(image.stem, ""))
        for name, image, mask, label in entries
    ]
    return found


def group_shots(stems: Iterable[str]) -> dict[str, str]:
    """Which shots show one tile, from their names `exp<exposure>_num_<number>`; a name of another form is left out.

    The numbers count through one film of all tiles. Each tile is taken under exposures 1 to 6 in turn, mostly 10 to
    50 numbers apart (at most 1,257); the next tile comes usually hundreds further on, but sometimes after only 7. So
    the exposure tells, not the number alone: it rises within a tile and falls to the next. Neighbouring numbers are
    chained, across the kinds, when the exposure rises and the step is at most 1,500, or when the step is at most 130
    whatever the exposure, since some tiles were taken twice in a row (304811 and 304836 are two tiles, 320864 and
    320895 are one: joining too much costs little, too little leaks).

    The 988 development images fall into 153 groups, 132 of them of 6 shots. Verified by matching the texture of every
    group with every other's (template matching after taking out the light): 0.70 and more for 95 % of the pairs within
    a group, at most 0.61 between groups, but for two tiles taken again much later, which the pictures confirm and
    `_AGAIN` names.
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
    for number, exposure, stem in sorted(shots):
        step = number - last[0] if last else 0
        if last is None or not (step <= _NEAR or (exposure > last[1] and step <= _FAR)):
            current = f"tile_{number}"
        groups[stem] = current
        of_number[number] = current
        last = (number, exposure)
    for first, again in _AGAIN:
        if first in of_number and again in of_number:
            renamed[of_number[again]] = of_number[first]
    return {stem: renamed.get(group, group) for stem, group in groups.items()}
