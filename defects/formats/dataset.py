"""A folder of images in any known layout, as samples and faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from defects.formats import coco, folders, magnetic_tile, sample_folder, yolo
from defects.formats import labelme as bsdata
from defects.formats import mvtec_ad as mvtec
from defects.formats.listing import Found
from defects.sample import Sample
from engine.errors import DataError, Issue, IssuesError, UsageError


class Layout(NamedTuple):
    """How one published folder layout is known and read."""

    fits: Callable[[Path], bool]
    read: Callable[[Path], Found]
    looks: str


# In the order in which they are tried: from the most telling to the least.
LAYOUTS: dict[str, Layout] = {
    "sample_folder": Layout(sample_folder.fits, sample_folder.read, "metadata.jsonl"),
    "magnetic_tile": Layout(magnetic_tile.fits, magnetic_tile.read, "MT_<kind>/Imgs/<name>.jpg + .png"),
    "bsdata": Layout(bsdata.fits, bsdata.read, "data/<name>.jpg + label/<name>.json"),
    "mvtec": Layout(mvtec.fits, mvtec.read, "train/good, test/<kind>, ground_truth/<kind>/<name>_mask.png"),
    "coco": Layout(coco.fits, coco.read, "COCO annotations *.json beside images"),
    "yolo": Layout(yolo.fits, yolo.read, "images/ + labels/*.txt"),
    "folders": Layout(folders.fits, folders.read, "images/ + masks/ of the same names"),
}


@dataclass(frozen=True)
class Dataset:
    """What a folder holds.

    Attributes:
        root: The folder.
        layout: A key of `LAYOUTS`.
        samples: In the order of their names.
        issues: What is wrong with the folder's structure; `check_images` finds what is wrong with its pixels.
    """

    root: Path
    layout: str
    samples: list[Sample]
    issues: list[Issue] = field(default_factory=list)


def read_dataset(root: Path, layout: str = "auto") -> Dataset:
    """Read the structure of a folder; no image is opened.

    Args:
        root: The folder.
        layout: A key of `LAYOUTS`, or `auto` for the first that fits.

    Raises:
        DataError: The folder is missing or empty, or no layout fits.
        UsageError: The layout is unknown.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder that holds the images")
    if layout == "auto":
        layout = _find(root)
    elif layout not in LAYOUTS:
        raise UsageError(f"unknown layout {layout!r}; use one of auto, {', '.join(LAYOUTS)}")
    found = LAYOUTS[layout].read(root)
    if not found.samples and not any(not issue.warning for issue in found.issues):
        found.issues.append(
            Issue(str(root), f"no images found as {layout}", f"expected {LAYOUTS[layout].looks}; or give --layout")
        )
    return Dataset(root, layout, sorted(found.samples, key=lambda sample: sample.name), found.issues)


def open_dataset(root: Path, layout: str = "auto") -> Dataset:
    """`read_dataset`, for those who cannot go on with a faulty folder.

    Raises:
        IssuesError: Every fault of the folder's structure that is not a mere warning.
        DataError: As for `read_dataset`.
        UsageError: As for `read_dataset`.
    """
    dataset = read_dataset(root, layout)
    issues = [issue for issue in dataset.issues if not issue.warning]
    if issues:
        raise IssuesError(issues)
    return dataset


def _find(root: Path) -> str:
    for name, layout in LAYOUTS.items():
        if layout.fits(root):
            return name
    if not any(root.iterdir()):
        raise DataError(f"{root}: the folder is empty; put images in it ({_known()})")
    raise DataError(f"{root}: no known layout fits; expected one of {_known()}")


def _known() -> str:
    return "; ".join(f"{name} ({layout.looks})" for name, layout in LAYOUTS.items())
