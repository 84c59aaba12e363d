"""Flat folders: `images/` and `masks/`, a mask named as its image; `images/<kind>/` names the kinds."""

from __future__ import annotations

from pathlib import Path

from defects.layouts.listing import Found, list_images
from defects.sample import GOOD, Sample

__all__ = ["DEFECT", "fits", "read"]

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
        found.fault(masks[key], "a mask without its image", f"add images/{key} or remove the mask")
    for key, image in zip(keys, images, strict=True):
        folder = key.rpartition("/")[0]
        kind = folder.rpartition("/")[2].lower() or (DEFECT if key in masks else GOOD)
        if kind != GOOD and key not in masks:
            found.fault(image, "its mask is missing", f"add masks/{key}.png, or move the picture to images/good")
            continue
        found.samples.append(Sample(name=key, image=image, mask=masks.get(key), label=kind))
    return found


def _key(path: Path, folder: Path) -> str:
    """The name both share: the path within the folder, without extension and without a `_mask` at its end."""
    return path.relative_to(folder).with_suffix("").as_posix().removesuffix("_mask")
