"""Labels of one image for YOLO and labelme, from the mask that is written beside it.

Every connected part of the mask is one object. Its outline encloses exactly the part's pixels (see `gan.polygons`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defects.masks import components
from engine.files import to_json
from gan.polygons import INSET, outline

LABELME_VERSION = "5.0.0"

Outline = list[tuple[float, float]]


def outlines(mask: NDArray[np.bool_]) -> list[Outline]:
    """The outline of every part of a mask (H, W), a hair inside its pixels' edges, in px."""
    return [outline(part.mask, INSET) for part in components(mask)]


def yolo_text(parts: Sequence[Outline], size: int, kind: int) -> str:
    """The label file of a YOLO segmentation set: `kind x y x y ...` a line, coordinates relative to the size."""
    return "".join(f"{kind} " + " ".join(f"{x / size:.7g} {y / size:.7g}" for x, y in part) + "\n" for part in parts)


def labelme_json(parts: Sequence[Outline], size: int, kind: str, image: str, folder: str) -> bytes:
    """The labelme file of an image.

    Args:
        parts: outlines in px.
        size: side of the image in px.
        kind: name of the defect.
        image: path of the image, and
        folder: of the labelme file, both relative to the sample folder.
    """
    shapes: list[dict[str, Any]] = [
        {
            "label": kind,
            "points": [[round(x, 2), round(y, 2)] for x, y in part],
            "group_id": None,
            "shape_type": "polygon",
            "flags": {},
        }
        for part in parts
    ]
    return to_json(
        {
            "version": LABELME_VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": os.path.relpath(image, folder).replace(os.sep, "/"),
            "imageData": None,
            "imageHeight": size,
            "imageWidth": size,
        }
    )


def yolo_yaml(classes: Sequence[str]) -> str:
    """The `data.yaml` of a YOLO set whose images are not split yet."""
    names = "".join(f"  {number}: {to_json(name).decode()}\n" for number, name in enumerate(classes))
    return f"path: .\ntrain: images\nval: images\nnames:\n{names}"


def dataset_card(count: int, classes: Sequence[str]) -> str:
    """The `README.md` by which `datasets.load_dataset(folder)` finds the manifest whatever the images are called.

    Without it a mask named `test-1` would make the loader split the folder by names and lose the manifest.
    """
    return f"""---
configs:
  - config_name: default
    data_files:
      - split: train
        path: [metadata.jsonl, "images/**"]
tags: [synthetic, defect-detection]
---
{count} synthetic images of surface defects ({", ".join(classes)}), made by `gen-defects`.

`metadata.jsonl` has one row an image: its label mask, kind, guide values, the mask it was made from and its checksum;
`request.json` holds the settings by which the folder can be made again.
"""
