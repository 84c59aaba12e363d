"""Where in a photograph a mask goes: kept where it was drawn, or moved, turned and scaled inside a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from defects.masks import Mask, bounding_box, resize_mask
from engine.errors import UsageError

SMALLEST = 0.5
LOOKED_AT = 512
"""Places are searched for in pictures no larger than this, px."""


@dataclass(frozen=True)
class Placement:
    """What a user asks for.

    Attributes:
        move: anywhere inside the region of interest, instead of where the mask was drawn.
        rotate: smallest and largest angle, degrees counter-clockwise.
        scale: smallest and largest factor.

    Raises:
        UsageError: a range is out of order or out of bounds.
    """

    move: bool = False
    rotate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        for flag, (low, high), (least, most) in (
            ("--rotate", self.rotate, (-360.0, 360.0)),
            ("--scale", self.scale, (0.1, 10.0)),
        ):
            if not least <= low <= high <= most:
                raise UsageError(f"{flag}: {low:g},{high:g} is no range in {least:g}..{most:g}; give the smaller first")

    def describe(self) -> dict[str, Any]:
        """For `request.json`."""
        return {"move": self.move, "rotate": list(self.rotate), "scale": list(self.scale)}


def parse_range(flag: str, text: str) -> tuple[float, float]:
    """LOW,HIGH of a flag.

    Raises:
        UsageError: it is not two numbers.

    >>> parse_range("--scale", "0.8,1.2")
    (0.8, 1.2)
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{flag}: {text!r} is not two numbers; write them as LOW,HIGH") from None
    return low, high


@dataclass(frozen=True)
class Placed:
    """A mask in a photograph: `mask` (h, w) with its upper left pixel at (x, y); turned by `angle`, times `scale`."""

    mask: Mask
    x: int
    y: int
    angle: float
    scale: float

    def to_dict(self) -> dict[str, Any]:
        """For the metadata."""
        return {"x": self.x, "y": self.y, "angle": round(self.angle, 2), "scale": round(self.scale, 4)}

    def whole(self, shape: tuple[int, int]) -> Mask:
        """(H, W) in the photograph."""
        mask = np.zeros(shape, bool)
        mask[self.y : self.y + self.mask.shape[0], self.x : self.x + self.mask.shape[1]] = self.mask
        return mask


def place(
    mask: Mask,
    zoom: float,
    shape: tuple[int, int],
    roi: Mask | None,
    wanted: Placement,
    draw: Sequence[float],
    *,
    shrink: bool = False,
    rough: bool = False,
) -> Placed | None:
    """One place, or None where the mask does not fit.

    Args:
        mask: (h, w) as drawn, not empty.
        zoom: px of the photograph for one px of the mask.
        shape: (H, W) of the photograph.
        roi: (H, W) where the mask may go when it is moved; None for everywhere.
        wanted: ranges.
        draw: four numbers, 0..1, that decide.
        shrink: a mask that is too large is made as small as the photograph, down to `SMALLEST` of its size.
        rough: see `turned`.
    """
    angle = wanted.rotate[0] + draw[0] * (wanted.rotate[1] - wanted.rotate[0])
    low, high = np.log(wanted.scale)
    scale = zoom * float(np.exp(low + draw[1] * (high - low)))
    x, y, w, h = bounding_box(mask) or (0, 0, 1, 1)
    part = turned(mask[y : y + h, x : x + w], angle, scale, rough=rough)
    least = min(have / need for have, need in zip(shape, part.shape, strict=True))
    if shrink and SMALLEST <= least < 1:
        scale *= least * 0.999
        part = turned(mask[y : y + h, x : x + w], angle, scale, rough=rough)
    room = shape[1] - part.shape[1], shape[0] - part.shape[0]
    if min(room) < 0:
        return None
    if wanted.move:
        corner = _inside(part, roi, room, (draw[2], draw[3]))
        if corner is None:
            return None
    else:  # what touches an edge goes on touching it
        free = mask.shape[1] - w, mask.shape[0] - h
        shares = [at / left if left else 0.5 for at, left in zip((x, y), free, strict=True)]
        corner = round(shares[0] * room[0]), round(shares[1] * room[1])
    return Placed(part, *corner, angle, scale)


def turned(part: Mask, angle: float, scale: float, *, rough: bool = False) -> Mask:
    """A mask cut to its box, turned counter-clockwise and scaled, cut to its box again.

    Thin lines stay whole, which takes most of the time where nothing is turned; a rough mask has the same box.
    """
    height, breadth = part.shape
    if angle % 360 == 0:
        size = max(1, round(height * scale)), max(1, round(breadth * scale))
        return rough_mask(part, size) if rough else resize_mask(part, size)
    turn = np.deg2rad(angle)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    side = int(np.ceil(abs(scale) * np.hypot(height, breadth))) + 4
    matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0]])
    middle = np.array([(breadth - 1) / 2, (height - 1) / 2])
    matrix[:, 2] = (side - 1) / 2 - matrix[:, :2] @ middle
    smooth = cv2.warpAffine(part.astype(np.float32), matrix, (side, side), flags=cv2.INTER_LINEAR)
    result = smooth >= 0.5
    if not result.any():
        result = smooth == smooth.max()
    x, y, w, h = bounding_box(result) or (0, 0, 1, 1)
    return np.ascontiguousarray(result[y : y + h, x : x + w])


def rough_mask(part: Mask, size: tuple[int, int]) -> Mask:
    """A mask at another size; made smaller, a pixel is set when any of it was, so that nothing vanishes."""
    if part.shape == size:
        return part
    smaller = size[0] * size[1] < part.size
    how = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(part.astype(np.float32), size[::-1], interpolation=how) > 0)


def _inside(part: Mask, roi: Mask | None, room: tuple[int, int], draws: tuple[float, float]) -> tuple[int, int] | None:
    """A corner (x, y), drawn evenly from those where every pixel of the mask lies in the region; None for none."""
    if roi is None:
        return int(draws[0] * (room[0] + 1)), int(draws[1] * (room[1] + 1))
    step = -(-max(roi.shape) // LOOKED_AT)
    outside, piece = _coarse(~roi, step), _coarse(part, step)
    # A place off the coarse grid needs one coarse pixel more on every side.
    wide = cv2.dilate(np.pad(piece, 1).astype(np.uint8), np.ones((3, 3), np.uint8)) if step > 1 else piece
    border = 1 if step > 1 else 0
    padded = np.pad(outside, border, mode="edge")
    if any(a < b for a, b in zip(padded.shape, wide.shape, strict=True)):
        return None
    hits = cv2.matchTemplate(padded.astype(np.float32), wide.astype(np.float32), cv2.TM_CCORR)
    ys, xs = np.nonzero(hits < 0.5)
    keep = (xs * step <= room[0]) & (ys * step <= room[1])
    xs, ys = xs[keep], ys[keep]
    if not xs.size:
        return None
    pick = min(int(draws[0] * xs.size), xs.size - 1)
    return int(xs[pick]) * step, int(ys[pick]) * step


def _coarse(mask: Mask, step: int) -> Mask:
    """Blocks of `step` px in which any pixel is set."""
    if step == 1:
        return mask
    height, breadth = (-(-side // step) * step for side in mask.shape)
    padded = np.pad(mask, ((0, height - mask.shape[0]), (0, breadth - mask.shape[1])))
    return np.asarray(padded.reshape(height // step, step, breadth // step, step).any(axis=(1, 3)))
