"""Placement: where in a background a mask goes, where it was or moved, rotated and scaled inside a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from defects.attributes.appearance import BackgroundStats, background_around, ring_radius
from defects.masks.width import Mask, bounding_box, resize_mask
from engine.errors import UsageError
from gan.blending.backgrounds import Backgrounds
from gan.blending.matching import TrainingDefects

SMALLEST = 0.5
COARSE_SIDE = 512
"""Places are searched for in images no larger than this, px."""
BACKGROUND_SAMPLING = ("matched", "uniform")


@dataclass(frozen=True)
class Placement:
    """The requested placement.

    Attributes:
        move: Anywhere inside the region of interest, instead of where the mask was.
        rotate: Smallest and largest angle, degrees counter-clockwise.
        scale: Smallest and largest factor.
        uniform: Any background, instead of one like those of real defects of the class.

    Raises:
        UsageError: A range is out of order or out of bounds.
    """

    move: bool = False
    rotate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    uniform: bool = False

    def __post_init__(self) -> None:
        for flag, (low, high), (least, most) in (
            ("--rotate", self.rotate, (-360.0, 360.0)),
            ("--scale", self.scale, (0.1, 10.0)),
        ):
            if not least <= low <= high <= most:
                raise UsageError(
                    f"{flag}: {low:g},{high:g} is no range in {least:g}..{most:g}; give the smaller first",
                    code="E-blend-range",
                )

    def describe(self) -> dict[str, Any]:
        """For `request.json`."""
        return {
            "move": self.move,
            "rotate": list(self.rotate),
            "scale": list(self.scale),
            "any_ground": self.uniform,
        }


@dataclass(frozen=True)
class Placed:
    """A mask in a background: `mask` (h, w) with its upper left pixel at (x, y); turned by `angle`, times `scale`."""

    mask: Mask
    x: int
    y: int
    angle: float
    scale: float

    def to_dict(self) -> dict[str, Any]:
        """For the metadata."""
        return {"x": self.x, "y": self.y, "angle": round(self.angle, 2), "scale": round(self.scale, 4)}

    def whole(self, shape: tuple[int, int]) -> Mask:
        """(H, W) in the background."""
        mask = np.zeros(shape, bool)
        mask[self.y : self.y + self.mask.shape[0], self.x : self.x + self.mask.shape[1]] = self.mask
        return mask


def place(
    mask: Mask,
    zoom: float,
    shape: tuple[int, int],
    roi: Mask | None,
    placement: Placement,
    draw: Sequence[float],
    *,
    shrink: bool = False,
    rough: bool = False,
) -> Placed | None:
    """One place, or None where the mask does not fit.

    Args:
        mask: (h, w) as given, not empty.
        zoom: Px of the background for one px of the mask.
        shape: (H, W) of the background.
        roi: (H, W) where the mask may go when it is moved; None for everywhere.
        placement: Ranges.
        draw: Four numbers, 0..1, that decide.
        shrink: A mask that is too large is scaled down to the background, to `SMALLEST` of its size at least.
        rough: See `turned`.
    """
    angle = placement.rotate[0] + draw[0] * (placement.rotate[1] - placement.rotate[0])
    low, high = np.log(placement.scale)
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
    if placement.move:
        corner = _inside(part, roi, room, (draw[2], draw[3]))
        if corner is None:
            return None
    else:  # what touches an edge stays at that edge
        free = mask.shape[1] - w, mask.shape[0] - h
        shares = [at / left if left else 0.5 for at, left in zip((x, y), free, strict=True)]
        corner = round(shares[0] * room[0]), round(shares[1] * room[1])
    return Placed(part, *corner, angle, scale)


def turned(part: Mask, angle: float, scale: float, *, rough: bool = False) -> Mask:
    """A mask cut to its box, turned counter-clockwise and scaled, cut to its box again.

    Thin lines stay whole, which takes most of the time where nothing is turned; a rough mask has the same bounding box.
    """
    height, width = part.shape
    if angle % 360 == 0:
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return rough_mask(part, size) if rough else resize_mask(part, size)
    turn = np.deg2rad(angle)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    side = int(np.ceil(abs(scale) * np.hypot(height, width))) + 4
    matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix[:, 2] = (side - 1) / 2 - matrix[:, :2] @ middle
    smooth = cv2.warpAffine(part.astype(np.float32), matrix, (side, side), flags=cv2.INTER_LINEAR)
    result = smooth >= 0.5
    if not result.any():
        result = smooth == smooth.max()
    x, y, w, h = bounding_box(result) or (0, 0, 1, 1)
    return np.ascontiguousarray(result[y : y + h, x : x + w])


def rough_mask(part: Mask, size: tuple[int, int]) -> Mask:
    """A mask at another size; in a smaller one a pixel is set when any of it was, so that nothing vanishes."""
    if part.shape == size:
        return part
    smaller = size[0] * size[1] < part.size
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(part.astype(np.float32), size[::-1], interpolation=interpolation) > 0)


def _inside(part: Mask, roi: Mask | None, room: tuple[int, int], draws: tuple[float, float]) -> tuple[int, int] | None:
    """A corner (x, y), sampled evenly from those where every pixel of the mask lies in the region; or None."""
    if roi is None:
        return int(draws[0] * (room[0] + 1)), int(draws[1] * (room[1] + 1))
    step = -(-max(roi.shape) // COARSE_SIDE)
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
    height, width = (-(-side // step) * step for side in mask.shape)
    padded = np.pad(mask, ((0, height - mask.shape[0]), (0, width - mask.shape[1])))
    return np.asarray(padded.reshape(height // step, step, width // step, step).any(axis=(1, 3)))


MAX_BACKGROUNDS = 24
"""Backgrounds tried for a mask at its own size, before all of them are tried with a smaller one."""
CANDIDATES = 16
"""Places that a mask fits of which the best match is taken: one in each of so many backgrounds, more in each of fewer
where masks are moved."""


@dataclass(frozen=True)
class Location:
    """A place for a mask.

    Attributes:
        number: Of the background.
        placed: The mask in it.
        stats: Of the background around it; None where those of real defects are not known.
    """

    number: int
    placed: Placed
    stats: BackgroundStats | None


@dataclass(frozen=True)
class LocationFinder:
    """Finds places.

    Attributes:
        backgrounds: Images to blend into.
        placement: Where masks may go.
        size: Of the network, px.
        known: Real defects with their backgrounds.
    """

    backgrounds: Backgrounds
    placement: Placement
    size: int
    known: TrainingDefects

    def find(self, mask: Mask, defect_class: str, rng: np.random.Generator) -> Location | None:
        """A place for a mask (h, w); None where it fits into no background.

        Args:
            mask: Not empty.
            defect_class: "" for any.
            rng: Decides.
        """
        share, order = float(rng.random()), [int(number) for number in rng.permutation(len(self.backgrounds))]
        count = CANDIDATES if self.known and not self.placement.uniform else 1
        if self.placement.move:
            order *= -(-count // len(order))
        for shrink, numbers in ((False, order[:MAX_BACKGROUNDS]), (True, order)):
            found: list[tuple[Location, list[float]]] = []
            for number in numbers:
                draw: list[float] = rng.random(4).tolist()
                placed = self._place(mask, number, draw, shrink=shrink, rough=count > 1)
                if placed is not None:
                    stats = self._background_stats(number, placed) if self.known else None
                    found.append((Location(number, placed, stats), draw))
                if len(found) == count:
                    break
            while found:
                location, draw = found.pop(self._best([location for location, _ in found], defect_class, share))
                exact = self._exact(mask, location, draw, shrink=shrink) if count > 1 else location
                if exact is not None:
                    return exact
        return None

    def _exact(self, mask: Mask, location: Location, draw: list[float], *, shrink: bool) -> Location | None:
        """The mask itself where a rough one was tried, or where it fits if it does not fit there."""
        placed = self._place(mask, location.number, draw, shrink=shrink)
        if placed is None:
            return None
        there = replace(placed, x=location.placed.x, y=location.placed.y)
        background = self.backgrounds[location.number]
        roi = self.backgrounds.read(location.number)[1] if background.roi is not None else None
        if roi is None or not (there.whole(background.shape) & ~roi).any():
            return replace(location, placed=there)
        return replace(location, placed=placed, stats=self._background_stats(location.number, placed))

    def _place(self, mask: Mask, number: int, draw: list[float], *, shrink: bool, rough: bool = False) -> Placed | None:
        background = self.backgrounds[number]
        zoom = self.backgrounds.scale((mask.shape[0], mask.shape[1])) / self.backgrounds.scale(background.shape)
        roi = self.backgrounds.read(number)[1] if background.roi is not None else None
        return place(mask, zoom, background.shape, roi, self.placement, draw, shrink=shrink, rough=rough)

    def _background_stats(self, number: int, placed: Placed) -> BackgroundStats:
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

    def _best(self, locations: Sequence[Location], defect_class: str, share: float) -> int:
        if len(locations) == 1:
            return 0
        stats = [location.stats for location in locations if location.stats is not None]
        return self.known.best_match(stats, defect_class, share)
