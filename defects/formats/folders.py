"""Flat folders: `images/` and `masks/`, a mask named as its image; `images/<kind>/` names the kinds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from defects.formats.listing import Found, list_images
from defects.images.crops import CropSpec, read_crop
from defects.images.decode import encode_image, read_sample
from defects.sample import GOOD, Sample
from engine.files.atomic import write_bytes

DEFECT = "defect"


def fits(root: Path) -> bool:
    """Whether there are folders `images` and `masks`."""
    return (root / "images").is_dir() and (root / "masks").is_dir()


def read(root: Path) -> Found:
    """Read the folder: the kind is the folder within `images`, else `defect` with a mask and `good` without."""
    found = Found()
    images = list_images(root / "images", root, found, deep=True)
    masks = {_key(path, root / "masks"): path for path in list_images(root / "masks", root, found, deep=True)}
    keys = [_key(image, root / "images") for image in images]
    for key in sorted(masks.keys() - set(keys)):
        found.issue(masks[key], "a mask without its image", f"add images/{key} or remove the mask")
    for key, image in zip(keys, images, strict=True):
        folder = key.rpartition("/")[0]
        kind = folder.rpartition("/")[2].lower() or (DEFECT if key in masks else GOOD)
        if kind != GOOD and key not in masks:
            found.issue(image, "its mask is missing", f"add masks/{key}.png, or move the picture to images/good")
            continue
        found.samples.append(Sample(name=key, image=image, mask=masks.get(key), label=kind))
    return found


def _key(path: Path, folder: Path) -> str:
    """The name both share: the path within the folder, without extension and without a `_mask` at its end."""
    return path.relative_to(folder).with_suffix("").as_posix().removesuffix("_mask")


def write_masks(samples: Iterable[Sample], crop_spec: CropSpec | None, out: Path) -> int:
    """Writes the mask of every defective photograph; how many there are.

    Args:
        samples: Photographs; good ones are passed over, as are those whose square shows nothing of the defect.
        crop_spec: How a photograph becomes a square; None for the mask of the whole photograph.
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
