"""Masks for a cell: real ones of the kind brought to the wanted size, or procedural ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from augment.balancing.measures import Instance
from defects.masks.width import Mask, bounding_box, resize_mask
from defects.synthetic.masks import DEFECT_CLASSES, ShapeSpec

_TURN = 15.0
"""Degrees that a mask is turned at most, where it reaches no border."""

_LIKE = {"blowhole": "spot", "pitting": "pit", "pore": "spot", "hole": "spot", "fissure": "crack", "cut": "scratch"}
"""Procedural shapes for kinds of other names."""

_TRIES = 12


@dataclass(frozen=True)
class Donor:
    """A real mask in the generator's square.

    Attributes:
        name: of its sample.
        mask: (S, S), not empty.
    """

    name: str
    mask: Mask

    @property
    def share(self) -> float:
        """Of the square, 0..1."""
        return float(self.mask.mean())


@dataclass(frozen=True)
class PlannedMask:
    """A mask to ask a generator for.

    Attributes:
        mask: (S, S).
        source: name of the real sample it comes from, or `procedural <kind>`.
        factor: by which it was scaled; 1 for procedural ones.
    """

    mask: Mask
    source: str
    factor: float


def factor_to(share: float, wanted: tuple[float, float]) -> float:
    """The least scaling that brings a mask of `share` of the image into a range of shares; from 1 up, either way."""
    low, high = wanted
    if share < low:
        return math.sqrt(low / share)
    return math.sqrt(share / high) if share > high else 1.0


def real_mask(
    donor: Donor, wanted: tuple[float, float], rng: np.random.Generator, *, reach: float = 2.0
) -> PlannedMask | None:
    """A donor's mask flipped, turned a little, scaled and moved so that its share of the image lies in `wanted`.

    What reaches a border of the image goes on reaching that border (the opposite one when flipped) and is not turned;
    what spans the image is scaled across only.

    Args:
        donor: a real mask.
        wanted: least and largest share of the image.
        rng: draws size, flips, angle and place.
        reach: it is scaled by this much at most, up or down.

    Returns:
        None where it does not get there: a defect cut off at the border stays smaller than its scale says.
    """
    size = donor.mask.shape[0]
    low, high = np.log(max(wanted[0], donor.share / reach**2)), np.log(min(wanted[1], donor.share * reach**2))
    if low > high:
        return None
    for _ in range(_TRIES):
        draw = rng.random(5)
        goal = math.exp(low + (0.1 + 0.8 * draw[0]) * (high - low))
        factor = math.sqrt(goal / donor.share)
        mask = donor.mask[:, ::-1] if draw[1] < 0.5 else donor.mask
        box = bounding_box(mask) or (0, 0, size, size)
        ends = [(box[i] == 0, box[i] + box[i + 2] == size) for i in (0, 1)]
        crop = mask[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
        if not any(a or b for a, b in ends):
            crop = _turned(crop, (2 * draw[2] - 1) * _TURN)
        crop = _trimmed(resize_mask(crop, _sides(crop, factor, [all(pair) for pair in ends])))
        placed = np.zeros_like(donor.mask)
        corner = [
            _start(int(length), size, at_start, at_end, float(share))
            for length, (at_start, at_end), share in zip(crop.shape[::-1], ends, draw[3:], strict=True)
        ]
        _put(placed, crop, corner)
        if wanted[0] <= placed.mean() <= wanted[1] and placed.any():
            return PlannedMask(placed, donor.name, factor)
    return None


def shape_kind(kind: str, instances: Sequence[Instance]) -> str:
    """The procedural shape most like a kind: by its name, else by how long and how full its defects are."""
    name = kind.casefold()
    for known in (*DEFECT_CLASSES, *_LIKE):
        if known in name:
            return _LIKE.get(known, known)
    if not instances:
        return "pit"
    elongation = float(np.median([i.elongation for i in instances]))
    solidity = float(np.median([i.solidity for i in instances]))
    if elongation > 3:
        return "scratch" if solidity > 0.7 else "crack"
    return "spot" if solidity > 0.85 else "pit"


def shaped_mask(kind: str, size: int, wanted: tuple[float, float], rng: np.random.Generator) -> PlannedMask | None:
    """A procedural mask of a kind of `DEFECT_CLASSES` whose share of the image lies in `wanted`; None where none does."""
    if wanted[0] >= wanted[1]:
        return None
    spec = ShapeSpec.typical(kind, size)
    low, high = np.log(wanted)
    for _ in range(_TRIES):
        shape = spec.sample(rng)
        goal = math.exp(low + (0.2 + 0.6 * rng.random()) * (high - low)) * size * size
        length, width = shape.length, shape.width
        for _ in range(3):
            drawn = ShapeSpec(
                kind, (1, 1), (length, length), (width, width), spec.orientation, (0.4, 0.4, 0.6, 0.6)
            ).sample(rng)
            mask = drawn.draw(size, rng)
            if wanted[0] <= mask.mean() <= wanted[1]:
                return PlannedMask(mask, f"procedural {kind}", 1.0)
            change = math.sqrt(goal / mask.sum())
            length, width = min(max(length * change, 1.0), 1.5 * size), min(max(width * change, 1.0), 0.7 * size)
    return None


def _turned(crop: Mask, degrees: float) -> Mask:
    """Turned at three times the scale, so that thin lines stay whole when they are brought back."""
    big = crop.repeat(3, 0).repeat(3, 1).astype(np.uint8)
    side = math.ceil(math.hypot(*big.shape) / 3) * 3
    turn = cv2.getRotationMatrix2D((big.shape[1] / 2, big.shape[0] / 2), degrees, 1.0)
    turn[:, 2] += np.asarray([(side - big.shape[1]) / 2, (side - big.shape[0]) / 2])
    whole = cv2.warpAffine(big, turn, (side, side), flags=cv2.INTER_NEAREST) > 0
    return _trimmed(resize_mask(whole, (side // 3, side // 3)))


def _trimmed(mask: Mask) -> Mask:
    x, y, w, h = bounding_box(mask) or (0, 0, 1, 1)
    return mask[y : y + h, x : x + w]


def _sides(crop: Mask, factor: float, spans: Sequence[bool]) -> tuple[int, int]:
    """Height and width after scaling; `spans` says whether it reaches across and down the whole image."""
    across, down = spans
    by_x, by_y = factor, factor
    if across != down:
        by_x, by_y = (1.0, factor**2) if across else (factor**2, 1.0)
    return max(1, round(crop.shape[0] * by_y)), max(1, round(crop.shape[1] * by_x))


def _start(length: int, size: int, at_start: bool, at_end: bool, share: float) -> int:
    """Where along a side it begins: at the border it reaches, else anywhere inside; centred where it is too long."""
    if at_start and at_end:
        return min(0, (size - length) // 2)
    if at_start:
        return 0
    if at_end:
        return size - length
    return int(1 + share * (size - length - 2)) if length < size - 1 else (size - length) // 2


def _put(target: Mask, crop: Mask, corner: Sequence[int]) -> None:
    x, y = corner
    left, top = max(0, x), max(0, y)
    right, bottom = min(target.shape[1], x + crop.shape[1]), min(target.shape[0], y + crop.shape[0])
    target[top:bottom, left:right] = crop[top - y : bottom - y, left - x : right - x]
