"""Outlines and run lengths of annotation files, as pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from defects.sample import Polygon

__all__ = ["decode_rle", "fill_polygons"]


def fill_polygons(mask: npt.NDArray[np.bool_], polygons: Iterable[Polygon]) -> None:
    """Set in `mask` every pixel whose centre lies in a polygon; one too thin for any sets those along it.

    Args:
        mask: (H, W), changed in place.
        polygons: Points (x, y) in pixels; pixel (0, 0) covers 0..1 and its centre is (0.5, 0.5).
    """
    from skimage.draw import polygon as inside  # 0.1 s to import, needed only for annotation files

    for polygon in polygons:
        points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
        rows, columns = inside(points[:, 1] - 0.5, points[:, 0] - 0.5, mask.shape)  # type: ignore[no-untyped-call]
        if rows.size == 0:
            columns, rows = np.floor(points).astype(int).T
            kept = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
            rows, columns = rows[kept], columns[kept]
        mask[rows, columns] = True


def decode_rle(rle: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Decode a COCO run-length mask.

    Args:
        rle: `size` (height, width) and `counts`: run lengths in column order starting with zeros, as a list,
            or as the compressed text pycocotools writes.

    Returns:
        (H, W) mask.

    Raises:
        ValueError: The runs do not fill the size.
    """
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
    except (KeyError, TypeError, ValueError):
        raise ValueError("expected 'size' (height, width) and 'counts'") from None
    if isinstance(counts, str):
        counts = _decompress(counts)
    runs = np.asarray(counts, dtype=np.int64)
    if height < 1 or width < 1 or (runs < 0).any() or int(runs.sum()) != height * width:
        raise ValueError(f"expected runs that sum to {height} x {width}, got {int(runs.sum())}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _decompress(text: str) -> list[int]:
    """Run lengths from COCO's text: 5 bits a character, low ones first, each from the third on as a difference."""
    counts: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            if at >= len(text):
                raise ValueError("the run-length text ends within a number")
            bits = ord(text[at]) - 48
            if not 0 <= bits < 64:
                raise ValueError(f"unexpected character {text[at]!r} in the run-length text")
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            at, shift = at + 1, shift + 5
            if not more and bits & 0x10:
                value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
