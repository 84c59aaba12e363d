"""A folder of images in any known layout, as samples and issues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from defects.formats import coco, folders, labelme, magnetic_tile, mvtec_ad, sample_folder, yolo
from defects.formats.listing import Listing
from defects.sample import Sample
from engine.errors import DataError, Issue, IssuesError, UsageError


class Layout(NamedTuple):
    """How a folder layout is recognized and read."""

    fits: Callable[[Path], bool]
    read: Callable[[Path], Listing]
    files: str


# In the order in which they are tried: from the most specific to the least.
LAYOUTS: dict[str, Layout] = {
    "sample_folder": Layout(sample_folder.fits, sample_folder.read, "metadata.jsonl"),
    "magnetic_tile": Layout(magnetic_tile.fits, magnetic_tile.read, "MT_<class>/Imgs/<name>.jpg + .png"),
    "bsdata": Layout(labelme.fits, labelme.read, "data/<name>.jpg + label/<name>.json"),
    "mvtec": Layout(mvtec_ad.fits, mvtec_ad.read, "train/good, test/<class>, ground_truth/<class>/<name>_mask.png"),
    "coco": Layout(coco.fits, coco.read, "COCO annotations *.json next to images"),
    "yolo": Layout(yolo.fits, yolo.read, "images/ + labels/*.txt"),
    "folders": Layout(folders.fits, folders.read, "images/ + masks/ of the same names"),
}


@dataclass(frozen=True)
class Dataset:
    """The contents of a folder.

    Attributes:
        root: The folder.
        layout: A key of `LAYOUTS`.
        samples: In the order of their names.
        issues: What is wrong with the folder's structure; `check_images` reports what is wrong with its pixels.
    """

    root: Path
    layout: str
    samples: list[Sample]
    issues: list[Issue] = field(default_factory=list)


def read_dataset(root: str | Path, layout: str = "auto") -> Dataset:
    """Reads the structure of a folder; no image is opened.

    Args:
        root: The folder.
        layout: A key of `LAYOUTS`, or `auto` for the first that fits.

    Raises:
        DataError: The folder is missing or empty, or no layout fits.
        UsageError: The layout is unknown.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder of the images", code="E-dataset-no-folder")
    if layout == "auto":
        layout = _detect(root)
    elif layout not in LAYOUTS:
        what = f"unknown layout {layout!r}; use one of auto, {', '.join(LAYOUTS)}"
        raise UsageError(what, code="E-dataset-unknown-layout")
    listing = LAYOUTS[layout].read(root)
    if not listing.samples and not any(not issue.warning for issue in listing.issues):
        remedy = f"expected {LAYOUTS[layout].files}; or give --layout"
        listing.issue(root, f"no images found as {layout}", remedy, "E-dataset-no-images")
    return Dataset(root, layout, sorted(listing.samples, key=lambda sample: sample.name), listing.issues)


def open_dataset(root: str | Path, layout: str = "auto") -> Dataset:
    """Reads the structure of a folder without issues; no image is opened.

    Raises:
        IssuesError: Every issue of the folder's structure that is not a warning.
        DataError: As for `read_dataset`.
        UsageError: As for `read_dataset`.
    """
    dataset = read_dataset(root, layout)
    issues = [issue for issue in dataset.issues if not issue.warning]
    if issues:
        raise IssuesError(issues)
    return dataset


def _detect(root: Path) -> str:
    for name, layout in LAYOUTS.items():
        if layout.fits(root):
            return name
    known = "; ".join(f"{name} ({layout.files})" for name, layout in LAYOUTS.items())
    if not any(root.iterdir()):
        raise DataError(f"{root}: the folder is empty; put images in it ({known})", code="E-dataset-empty")
    raise DataError(f"{root}: no known layout fits; expected one of {known}", code="E-dataset-no-layout")
