"""The polygons of a defect under the name by which the generator's commands know them; see `defects.masks.outlines`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from defects.masks.outlines import Outline
from engine.files.atomic import to_json

LABELME_VERSION = "5.0.0"


def yolo_text(parts: Sequence[Outline], shape: tuple[int, int], kind: int) -> str:
    """The label file of a YOLO segmentation set: `kind x y x y ...` a line, coordinates relative to (height, width)."""
    lines = (" ".join(f"{value:.7g}" for value in (part / shape[::-1]).ravel().tolist()) for part in parts)
    return "".join(f"{kind} {line}\n" for line in lines)


def labelme_json(parts: Sequence[Outline], shape: tuple[int, int], kind: str, image: str, folder: str) -> bytes:
    """The labelme file of an image.

    Args:
        parts: outlines in px, drawn with `INSET`.
        shape: (height, width) of the image in px.
        kind: name of the defect.
        image: path of the image, and
        folder: of the labelme file, both relative to the sample folder.
    """
    shapes: list[dict[str, Any]] = [
        {
            "label": kind,
            "points": part.round(2).tolist(),
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
            "imageHeight": shape[0],
            "imageWidth": shape[1],
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
