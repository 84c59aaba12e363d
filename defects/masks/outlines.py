"""Outlines and run lengths as pixels, and the outlines of a mask: one closed loop for each connected component."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from defects.sample import Polygon


def fill_polygons(mask: npt.NDArray[np.bool_], polygons: Iterable[Polygon]) -> None:
    """Set in `mask` every pixel whose center lies in a polygon; one too thin for any sets those along it.

    Args:
        mask: (H, W), changed in place.
        polygons: Points (x, y) in pixels; pixel (0, 0) covers 0..1 and its center is (0.5, 0.5).
    """
    from skimage.draw import polygon as inside  # 0.1 s to import, needed only for annotation files

    for polygon in polygons:
        points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
        rows, columns = inside(points[:, 1] - 0.5, points[:, 0] - 0.5, mask.shape)  # type: ignore[no-untyped-call]
        if rows.size == 0:
            columns, rows = np.floor(points).astype(int).T
            inside_image = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
            rows, columns = rows[inside_image], columns[inside_image]
        mask[rows, columns] = True


def decode_rle(rle: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Decodes a COCO run-length mask.

    Args:
        rle: `size` (height, width) and `counts`: run lengths in column order starting with zeros, as a list,
            or as the compressed text pycocotools writes.

    Returns:
        (H, W) mask.

    Raises:
        ValueError: The runs do not fill the size.
    """
    from pycocotools import mask as coco_mask

    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
        compressed = counts.encode("ascii") if isinstance(counts, str) else None
        runs = np.asarray([] if isinstance(counts, str) else counts, dtype=np.int64)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ValueError("expected 'size' (height, width) and 'counts'") from None
    # pycocotools returns memory that was never set where the runs are too short, so they are checked here: a list by
    # its sum, a text by encoding the result again.
    if height < 1 or width < 1 or (compressed is None and ((runs < 0).any() or int(runs.sum()) != height * width)):
        raise ValueError(f"expected runs that sum to {height} x {width}, got {int(runs.sum())}")
    coded = {"size": [height, width], "counts": compressed}
    if compressed is None:
        coded = coco_mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    try:
        values = coco_mask.decode(coded)
    except ValueError as error:
        raise ValueError(f"expected run lengths that fill {height} x {width}, got others ({error})") from None
    if compressed is not None and coco_mask.encode(values)["counts"] != compressed:
        raise ValueError(f"expected run lengths that fill {height} x {width}, got others")
    return np.asarray(values, bool)


INSET = 0.02
"""How far inside the pixels' edges an outline for YOLO and labelme runs, in px."""

Corners = NDArray[np.int64]
Outline = NDArray[np.float64]


def outlines(mask: NDArray[np.bool_], inset: float = 0.0) -> list[Outline]:
    """The outline of every 8-connected part, in the order of their topmost, then leftmost corners.

    Args:
        mask: (H, W).
        inset: distance from the pixels' edges towards the inside, in px; 0 gives whole numbers and exact areas.

    Returns:
        (n, 2) corners (x, y) in px each, clockwise, pixel (0, 0) covering 0..1; the first corner is not repeated.
    """
    # OpenCV walks from border pixel to border pixel. At twice the scale an odd index lies on a pixel's far edge, an
    # even one on its near edge, and the diagonal step past a concave corner begins and ends on the same edge corner.
    big = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    contours, tree = cv2.findContours(big, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    loops = [_corners((contour[::-1, 0].astype(np.int64) + 1) // 2) for contour in contours]
    parts: list[Corners] = []
    for number, loop in enumerate(loops):
        if tree[0][number][3] < 0:
            holes = [loops[i] for i in range(len(loops)) if tree[0][i][3] == number]
            parts.append(_joined(loop, holes) if holes else loop)
    parts.sort(key=lambda part: int((part[:, 1] * (mask.shape[1] + 1) + part[:, 0]).min()))
    if not inset:
        return [part.astype(np.float64) for part in parts]
    padded = np.pad(mask, 1)
    return [_moved(part, padded, inset) for part in parts]


def area(part: Outline) -> float:
    """The enclosed area, px^2 (shoelace formula)."""
    x, y = part.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _corners(points: Corners) -> Corners:
    """The loop without repeated points and points between two steps of one direction."""
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    into, out = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    corners: Corners = points[into[:, 0] * out[:, 1] != into[:, 1] * out[:, 0]]
    return corners


def _joined(outer: Corners, holes: list[Corners]) -> Corners:
    """One loop out of the outer one and its holes: each hole is cut open to the left until the cut meets a loop."""
    result = [tuple(point) for point in outer.tolist()]
    for hole in sorted(([tuple(point) for point in hole.tolist()] for hole in holes), key=min):
        first = hole.index(min(hole))
        x, y = hole[first]
        # The cut ends on the nearest upright edge that reaches this height; edge i runs from corner i to the next.
        following = [*result[1:], result[0]]
        edges = zip(range(len(result)), result, following, strict=True)
        met = max(
            (i for i, a, b in edges if a[0] == b[0] <= x and min(a[1], b[1]) <= y <= max(a[1], b[1])),
            key=lambda i: result[i][0],
        )
        end = (result[met][0], y)
        result = [*result[: met + 1], end, *hole[first:], *hole[: first + 1], end, *result[met + 1 :]]
    return _corners(np.array(result, np.int64))


def _moved(corners: Corners, padded: NDArray[np.bool_], inset: float) -> Outline:
    """The corners moved to the right hand of both their edges; a crossing between two pixels becomes two corners."""
    into = np.sign(corners - np.roll(corners, 1, axis=0))
    out = np.roll(into, -1, axis=0)
    aside = np.stack([-into[:, 1] - out[:, 1], into[:, 0] + out[:, 0]], axis=1)
    x, y = (corners + (aside + 1) // 2).T
    moved = np.stack([corners + inset * aside] * 2, axis=1)
    crossing = ~padded[y, x]
    before = np.stack([into[:, 0] + into[:, 1], into[:, 1] - into[:, 0]], axis=1)
    after = np.stack([out[:, 0] - out[:, 1], out[:, 1] + out[:, 0]], axis=1)
    moved[crossing, 0] = (corners - inset * before)[crossing]
    moved[crossing, 1] = (corners + inset * after)[crossing]
    keep = np.stack([np.ones_like(crossing), crossing], axis=1)
    result: Outline = moved[keep]
    return result
