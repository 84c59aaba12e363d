"""The contact sheet of a sample folder: a mask and its images in each row."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from defects.images.decode import encode_image, read_image, read_mask_image
from defects.masks.width import bounding_box
from engine.files.atomic import write_bytes

NAME = "preview.png"
ROWS, COLUMNS, TILE, GAP, TEXT = 6, 5, 144, 8, 13
THUMB = 2 * TEXT
SHOWN = 160
"""Least side of the part that is shown of an image whose sides differ, px."""

Row = dict[str, Any]
Pixels = NDArray[np.uint8]


def write_preview(root: Path, rows: Iterable[Row], groups: int) -> None:
    """Writes `preview.png`.

    Args:
        root: the sample folder.
        rows: its manifest rows, those of one mask together.
        groups: how many masks there are; `ROWS` of them, evenly spread, are shown.
    """
    shown = {round(i * (groups - 1) / max(1, ROWS - 1)) for i in range(ROWS)} if groups > ROWS else set(range(groups))
    lines = [
        [row for _, row in zip(range(COLUMNS), same, strict=False)]
        for number, (_, same) in enumerate(groupby(rows, key=lambda row: row["group"]))
        if number in shown
    ]
    if not lines:
        return
    columns = max(len(line) for line in lines)
    step, height = TILE + GAP, TILE + THUMB + GAP
    sheet = Image.new("RGB", (GAP + step * (columns + 1), GAP + height * len(lines)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for number, line in enumerate(lines):
        y = GAP + height * number
        _place(sheet, (GAP, y), TILE, _around(_label(root, line[0])))
        _write(draw, font, (GAP, y), [_fitted(line[0]["group"], 24), "label of the first"])
        for column, row in enumerate(line, start=1):
            x = GAP + step * column
            _place(sheet, (x, y), TILE, _around(_label(root, row), read_image(root / row["file_name"])))
            _place(sheet, (x + TILE - THUMB, y + TILE + 2), THUMB, _label(root, row))
            _write(draw, font, (x, y), _caption(row))
    write_bytes(root / NAME, encode_image(np.asarray(sheet)))


def _label(root: Path, row: Row) -> Pixels:
    return read_mask_image(root / row["mask"])[0].astype(np.uint8) * np.uint8(255)


def _around(label: Pixels, image: Pixels | None = None) -> Pixels:
    """The part of the image, or of its label, around the defect; the whole where its sides are equal."""
    shown = label if image is None else image
    height, breadth = label.shape[:2]
    if height == breadth:
        return shown
    x, y, w, h = bounding_box(label > 0) or (0, 0, breadth, height)
    side = min(max(SHOWN, 2 * w, 2 * h), height, breadth)
    left = min(max(0, x + w // 2 - side // 2), breadth - side)
    top = min(max(0, y + h // 2 - side // 2), height - side)
    return np.ascontiguousarray(shown[top : top + side, left : left + side])


def _place(sheet: Image.Image, corner: tuple[int, int], side: int, pixels: Pixels) -> None:
    how = cv2.INTER_AREA if pixels.shape[0] > side else cv2.INTER_NEAREST
    sheet.paste(Image.fromarray(cv2.resize(pixels, (side, side), interpolation=how)).convert("RGB"), corner)


def _write(draw: ImageDraw.ImageDraw, font: Any, corner: tuple[int, int], lines: list[str]) -> None:
    for i, text in enumerate(lines):
        draw.text((corner[0], corner[1] + TILE + 1 + i * TEXT), text, fill="black", font=font)


def _caption(row: Row) -> list[str]:
    """Two short lines: thickness and brightness, then the named values."""
    raw, scaled = row["guide"]["raw"], row["guide"]["scaled"]
    numbers = [
        f"{raw[name]:.1f} px" if name == "thickness" else f"{name[:6]} {value:.2f}"
        for name, value in scaled.items()
        if isinstance(value, float)
    ]
    words = [str(value) for value in scaled.values() if isinstance(value, str)]
    return [_fitted(" ".join(numbers), 22), _fitted(" ".join(words) or row["label"], 20)]


def _fitted(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
