"""The contact sheet of a sample folder: a mask and what was made of it in each row."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from defects.images import encode_image, read_image, read_mask_image
from engine.files import write_bytes

NAME = "preview.png"
ROWS, COLUMNS, TILE, GAP, TEXT = 6, 5, 144, 8, 15

Row = dict[str, Any]


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
    step, height = TILE + GAP, TILE + 2 * TEXT + GAP
    sheet = Image.new("RGB", (GAP + step * (columns + 1), GAP + height * len(lines)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for number, line in enumerate(lines):
        y = GAP + height * number
        first = read_mask_image(root / line[0]["mask"])[0]
        _place(sheet, draw, font, (GAP, y), first.astype(np.uint8) * 255, [_fitted(line[0]["group"], 24), "label mask"])
        for column, row in enumerate(line, start=1):
            _place(sheet, draw, font, (GAP + step * column, y), read_image(root / row["file_name"]), _caption(row))
    write_bytes(root / NAME, encode_image(np.asarray(sheet)))


def _place(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    font: Any,
    corner: tuple[int, int],
    pixels: NDArray[np.uint8],
    lines: list[str],
) -> None:
    how = cv2.INTER_AREA if pixels.shape[0] > TILE else cv2.INTER_NEAREST
    tile = cv2.resize(pixels, (TILE, TILE), interpolation=how)
    sheet.paste(Image.fromarray(tile).convert("RGB"), corner)
    draw.rectangle((corner[0] - 1, corner[1] - 1, corner[0] + TILE, corner[1] + TILE), outline="#999999")
    for i, text in enumerate(lines):
        draw.text((corner[0], corner[1] + TILE + 1 + i * (TEXT - 2)), text, fill="black", font=font)


def _caption(row: Row) -> list[str]:
    """Two short lines: the numeric guide values, then the named ones."""
    raw, scaled = row["guide"]["raw"], row["guide"]["scaled"]
    numbers = [
        f"{name[:5]} {value:.2f}" + (f" ({raw[name]:.1f} px)" if name == "thickness" else "")
        for name, value in scaled.items()
        if isinstance(value, float)
    ]
    words = [str(value) for value in scaled.values() if isinstance(value, str)]
    return [_fitted(", ".join(numbers), 28), _fitted(", ".join(words) or row["label"], 28)]


def _fitted(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
