"""Where in a photograph a mask goes: kept where it was drawn, or moved, turned and scaled inside a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from defects.attributes.background import BackgroundStats, background_around
from defects.attributes.guide import ring_radius
from defects.masks.width import Mask, bounding_box, resize_mask
from engine.errors import UsageError
from gan.blending.backgrounds import Backgrounds
from gan.blending.matching import Seen

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


TRIES = 24
"""Backgrounds tried for a mask at its own size, before all of them are tried with a smaller one."""
LOOKS = 16
"""Places that a mask fits of which the likeliest is taken: one in each of so many photographs, more in each of fewer
where masks are moved."""


@dataclass(frozen=True)
class Site:
    """A place for a mask.

    Attributes:
        number: of the background.
        placed: the mask in it.
        ground: around it; None where nothing is known of the grounds of real defects.
    """

    number: int
    placed: Placed
    ground: BackgroundStats | None


@dataclass(frozen=True)
class Sites:
    """Finds places.

    Attributes:
        backgrounds: photographs to draw into.
        placement: where masks may go.
        size: of the network, px.
        seen: what is known of the grounds of real defects.
        any_ground: take the first place that a mask fits.
    """

    backgrounds: Backgrounds
    placement: Placement
    size: int
    seen: Seen
    any_ground: bool = False

    def find(self, mask: Mask, kind: str, rng: np.random.Generator) -> Site | None:
        """A place for a mask (h, w) as drawn; None where it fits into no background.

        Args:
            mask: not empty.
            kind: of the defect; "" for any.
            rng: decides.
        """
        share, order = float(rng.random()), [int(number) for number in rng.permutation(len(self.backgrounds))]
        looks = LOOKS if self.seen and not self.any_ground else 1
        if self.placement.move:
            order *= -(-looks // len(order))
        for shrink, tries in ((False, order[:TRIES]), (True, order)):
            sites: list[tuple[Site, list[float]]] = []
            for number in tries:
                draw: list[float] = rng.random(4).tolist()
                placed = self._place(mask, number, draw, shrink=shrink, rough=looks > 1)
                if placed is not None:
                    sites.append((Site(number, placed, self._ground(number, placed) if self.seen else None), draw))
                if len(sites) == looks:
                    break
            while sites:
                site, draw = sites.pop(self._likeliest([site for site, _ in sites], kind, share))
                exact = self._exact(mask, site, draw, shrink=shrink) if looks > 1 else site
                if exact is not None:
                    return exact
        return None

    def _exact(self, mask: Mask, site: Site, draw: list[float], *, shrink: bool) -> Site | None:
        """The mask itself where a rough one was looked at, or where it fits if it does not fit there."""
        placed = self._place(mask, site.number, draw, shrink=shrink)
        if placed is None:
            return None
        there = replace(placed, x=site.placed.x, y=site.placed.y)
        chosen = self.backgrounds[site.number]
        roi = self.backgrounds.read(site.number)[1] if chosen.roi is not None else None
        if roi is None or not (there.whole(chosen.shape) & ~roi).any():
            return replace(site, placed=there)
        return replace(site, placed=placed, ground=self._ground(site.number, placed))

    def _place(self, mask: Mask, number: int, draw: list[float], *, shrink: bool, rough: bool = False) -> Placed | None:
        chosen = self.backgrounds[number]
        zoom = self.backgrounds.scale((mask.shape[0], mask.shape[1])) / self.backgrounds.scale(chosen.shape)
        roi = self.backgrounds.read(number)[1] if chosen.roi is not None else None
        return place(mask, zoom, chosen.shape, roi, self.placement, draw, shrink=shrink, rough=rough)

    def _ground(self, number: int, placed: Placed) -> BackgroundStats:
        small, scale = self.backgrounds.small(number), self.backgrounds.scale(self.backgrounds[number].shape)
        high, wide = placed.mask.shape
        part = rough_mask(placed.mask, (max(1, round(high * scale)), max(1, round(wide * scale))))
        mask = np.zeros((small.shape[0], small.shape[1]), bool)
        top, left = (
            min(round(at * scale), side - 1) for at, side in zip((placed.y, placed.x), mask.shape, strict=True)
        )
        part = part[: mask.shape[0] - top, : mask.shape[1] - left]
        mask[top : top + part.shape[0], left : left + part.shape[1]] = part
        mask[top, left] |= not mask.any()
        return background_around(small, mask, ring_radius(self.size))

    def _likeliest(self, sites: Sequence[Site], kind: str, share: float) -> int:
        if len(sites) == 1:
            return 0
        return self.seen.likeliest([site.ground for site in sites if site.ground is not None], kind, share)
