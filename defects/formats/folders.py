"""Flat folders: `images/` and `masks/`, a mask named as its image; `images/<class>/` names the classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from defects.formats.listing import ExportRow, ExportRows, Listing, list_images
from defects.images.crops import CropSpec, read_crop
from defects.images.decode import encode_image, read_sample
from defects.sample import GOOD, Sample
from engine.files.atomic import write_bytes

DEFECT = "defect"


def fits(root: Path) -> bool:
    """Whether there are folders `images` and `masks`."""
    return (root / "images").is_dir() and (root / "masks").is_dir()


def read(root: Path) -> Listing:
    """Reads the folder: the class is the folder within `images`, else `defect` with a mask and `good` without."""
    listing = Listing()
    images = list_images(root / "images", root, listing, deep=True)
    masks = {_key(path, root / "masks"): path for path in list_images(root / "masks", root, listing, deep=True)}
    keys = [_key(image, root / "images") for image in images]
    listing.without_image(masks, keys, "a mask", "images/{}")
    for key, image in zip(keys, images, strict=True):
        folder = key.rpartition("/")[0]
        label = folder.rpartition("/")[2].lower() or (DEFECT if key in masks else GOOD)
        if label != GOOD and key not in masks:
            remedy = f"add masks/{key}.png, or move the image to images/good"
            listing.issue(image, "its mask is missing", remedy, "E-format-mask-missing")
            continue
        listing.samples.append(Sample(name=key, image=image, mask=masks.get(key), label=label))
    return listing


def _key(path: Path, folder: Path) -> str:
    """The name both share: the path within the folder, without extension and without a `_mask` at its end."""
    return path.relative_to(folder).with_suffix("").as_posix().removesuffix("_mask")


def write(source: ExportRows, out: Path, *, on_progress: Callable[[int], object], workers: int = 2) -> None:
    """Writes `images/<class>/` and, of defective images, `masks/<class>/`; the splits are not stored.

    Raises:
        DataError: An image or mask does not open.
        OutputError: A file cannot be written.
    """

    def work(row: ExportRow) -> list[tuple[Path, bytes]]:
        data, mask = row.read()
        label, name = row.sample.label, source.plain_name(row)
        files = [(out / "images" / label / f"{name}{row.suffix}", data)]
        if label != GOOD:
            files.append((out / "masks" / label / f"{name}.png", encode_image(mask)))
        return files

    (out / "masks").mkdir(exist_ok=True)
    source.write_files(work, source.rows, on_progress, workers)


def write_masks(samples: Iterable[Sample], crop_spec: CropSpec | None, out: Path) -> int:
    """Writes the mask of every defective image and returns their number.

    Args:
        samples: Good ones are passed over, as are those whose crop contains nothing of the defect.
        crop_spec: How an image is cropped; None for the mask of the whole image.
        out: The folder; files of the same names are replaced.

    Raises:
        DataError: An image or its mask does not open.
        OutputError: The folder cannot be written.
    """
    count = 0
    for sample in samples:
        if sample.label == GOOD:
            continue
        mask = read_crop(sample, crop_spec)[1] if crop_spec is not None else read_sample(sample)[1]
        if mask.any():
            name = f"{sample.name.replace('/', '_')}.png"
            write_bytes(out / sample.label / name, encode_image(mask[..., None].astype(np.uint8) * 255, "png"))
            count += 1
    return count
