"""The polygon of a defect: one closed outline per connected part, its holes joined to it by a cut.

Programs disagree on what a polygon's corner means. COCO takes the corners of the outermost pixels; YOLO trainers and
labelme round corners down to pixel indices and then draw the border too, which would make a crack of one pixel two
pixels wide. An outline that runs a hair inside the pixels' edges is right for both: the centres it encloses are the
part's pixels, and its corners rounded down are the part's border pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

INSET = 0.02
"""How far inside the pixels' edges an outline for YOLO and labelme runs, in px."""

Point = tuple[int, int]
Loop = list[Point]

_STEPS: tuple[Point, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))


def outline(part: NDArray[np.bool_], inset: float = 0.0) -> list[tuple[float, float]]:
    """The polygon of one 8-connected part.

    Args:
        part: (H, W), True on the part and nowhere else.
        inset: distance from the pixels' edges towards the inside, in px; 0 gives whole numbers and exact areas.

    Returns:
        At least four corners (x, y) in px, pixel (0, 0) covering 0..1; the first corner is not repeated.

    Raises:
        ValueError: for an empty mask.
    """
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if rows.size == 0:
        raise ValueError("expected a part with at least one pixel, got an empty mask")
    top, left = int(rows[0]), int(columns[0])
    padded = np.pad(part[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1], 1)
    corners = _corners(_joined(_loops(padded)))
    return [(x + left - 1.0, y + top - 1.0) for x, y in (_moved(corners, padded, inset) if inset else corners)]


def _loops(padded: NDArray[np.bool_]) -> list[Loop]:
    """Closed walks in unit steps along the pixels' edges, the part on the right hand; the outer one comes first."""
    inside = padded[1:-1, 1:-1]
    sides = (
        (inside & ~padded[:-2, 1:-1], 1, 1),
        (inside & ~padded[1:-1, 2:], 2, 1),
        (inside & ~padded[2:, 1:-1], 2, 2),
        (inside & ~padded[1:-1, :-2], 1, 2),
    )
    leaving: dict[Point, list[int]] = {}
    for heading, (edge, dx, dy) in enumerate(sides):
        ys, xs = np.nonzero(edge)
        for point in zip((xs + dx).tolist(), (ys + dy).tolist(), strict=True):
            leaving.setdefault(point, []).append(heading)
    loops: list[Loop] = []
    while leaving:
        point = next(iter(leaving))
        heading = leaving[point][0]
        loop: Loop = []
        while point in leaving:
            choices = leaving[point]
            # Where two pixels touch at a corner only, the left turn crosses over: the part is 8-connected.
            heading = choices[0] if len(choices) == 1 else min(choices, key=lambda choice: (choice - heading + 1) % 4)
            choices.remove(heading)
            if not choices:
                del leaving[point]
            loop.append(point)
            point = (point[0] + _STEPS[heading][0], point[1] + _STEPS[heading][1])
        loops.append(loop)
    return loops


def _joined(loops: list[Loop]) -> Loop:
    """One loop out of the outer one and the holes: each hole is cut open to the left until the cut meets a loop."""
    result = loops[0]
    for hole in sorted(loops[1:], key=min):
        first = hole.index(min(hole))
        x, y = hole[first]
        met = max((i for i, point in enumerate(result) if point[1] == y and point[0] <= x), key=lambda i: result[i][0])
        result = result[: met + 1] + hole[first:] + hole[: first + 1] + result[met:]
    return result


def _corners(loop: Loop) -> Loop:
    """The loop without repeated points and points between two steps of one direction."""
    points = [point for i, point in enumerate(loop) if point != loop[i - 1]]
    return [
        (x, y)
        for i, (x, y) in enumerate(points)
        if (x - points[i - 1][0]) * (points[i + 1 - len(points)][1] - y)
        != (y - points[i - 1][1]) * (points[i + 1 - len(points)][0] - x)
    ]


def _moved(corners: Loop, padded: NDArray[np.bool_], inset: float) -> list[tuple[float, float]]:
    """The corners moved to the right hand of both their edges; a crossing between two pixels becomes two corners."""
    moved: list[tuple[float, float]] = []
    for i, (x, y) in enumerate(corners):
        into = _direction(corners[i - 1], (x, y))
        out = _direction((x, y), corners[i + 1 - len(corners)])
        dx, dy = -into[1] - out[1], into[0] + out[0]
        if padded[y + (dy - 1) // 2, x + (dx - 1) // 2]:
            moved.append((x + inset * dx, y + inset * dy))
        else:
            moved.append((x - inset * (into[0] + into[1]), y - inset * (into[1] - into[0])))
            moved.append((x + inset * (out[0] - out[1]), y + inset * (out[1] + out[0])))
    return moved


def _direction(start: Point, end: Point) -> Point:
    return (end[0] > start[0]) - (end[0] < start[0]), (end[1] > start[1]) - (end[1] < start[1])
