"""Masks for a stratum: real ones of the class scaled to its size, or procedural ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from augment.balancing.strata import Instance
from defects.masks.width import Mask, bounding_box, resize_mask
from defects.synthetic.masks import DEFECT_CLASSES, ShapeSpec

_MAX_ROTATION = 15.0
"""Largest rotation of a mask that reaches no border, degrees."""

_LIKE = {"blowhole": "spot", "pitting": "pit", "pore": "spot", "hole": "spot", "fissure": "crack", "cut": "scratch"}
"""Procedural shapes for classes of other names."""

_MAX_ATTEMPTS = 12


@dataclass(frozen=True)
class Donor:
    """A real mask in the generator's crop.

    Attributes:
        name: of its sample.
        mask: (S, S), not empty.
    """

    name: str
    mask: Mask

    @property
    def share(self) -> float:
        """Of the crop, 0..1."""
        return float(self.mask.mean())


@dataclass(frozen=True)
class PlannedMask:
    """A mask as input of a generator.

    Attributes:
        mask: (S, S).
        source: name of the real sample it comes from, or `procedural <class>`.
        factor: by which it was scaled; 1 for procedural ones.
    """

    mask: Mask
    source: str
    factor: float


def scale_to(share: float, target_range: tuple[float, float]) -> float:
    """The smallest scale that moves a mask of `share` of the image into a range of shares; from 1 up, either way."""
    low, high = target_range
    if share < low:
        return math.sqrt(low / share)
    return math.sqrt(share / high) if share > high else 1.0


def real_mask(
    donor: Donor, target_range: tuple[float, float], rng: np.random.Generator, *, max_scale: float = 2.0
) -> PlannedMask | None:
    """A donor's mask flipped, rotated, scaled and translated so that its share of the image is in `target_range`.

    A mask at a border of the image stays at that border (at the opposite one when flipped) and is not rotated; one that
    spans the image is scaled across only.

    Args:
        donor: a real mask.
        target_range: least and largest share of the image.
        rng: draws size, flips, angle and position.
        max_scale: largest scale, up or down.

    Returns:
        None where the range is not reached: a defect cut off at the border stays smaller than its scale.
    """
    size = donor.mask.shape[0]
    low, high = (
        np.log(max(target_range[0], donor.share / max_scale**2)),
        np.log(min(target_range[1], donor.share * max_scale**2)),
    )
    if low > high:
        return None
    for _ in range(_MAX_ATTEMPTS):
        draw = rng.random(5)
        goal = math.exp(low + (0.1 + 0.8 * draw[0]) * (high - low))
        factor = math.sqrt(goal / donor.share)
        mask = donor.mask[:, ::-1] if draw[1] < 0.5 else donor.mask
        box = bounding_box(mask) or (0, 0, size, size)
        ends = [(box[i] == 0, box[i] + box[i + 2] == size) for i in (0, 1)]
        crop = mask[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
        if not any(a or b for a, b in ends):
            crop = _rotated(crop, (2 * draw[2] - 1) * _MAX_ROTATION)
        crop = _trimmed(resize_mask(crop, _sides(crop, factor, [all(pair) for pair in ends])))
        placed = np.zeros_like(donor.mask)
        corner = [
            _start(int(length), size, at_start, at_end, float(share))
            for length, (at_start, at_end), share in zip(crop.shape[::-1], ends, draw[3:], strict=True)
        ]
        _put(placed, crop, corner)
        if target_range[0] <= placed.mean() <= target_range[1] and placed.any():
            return PlannedMask(placed, donor.name, factor)
    return None


def shape_class(class_name: str, instances: Sequence[Instance]) -> str:
    """The procedural shape most similar to a class: by its name, else by elongation and solidity of its defects."""
    name = class_name.casefold()
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


def shaped_mask(
    shape: str, size: int, target_range: tuple[float, float], rng: np.random.Generator
) -> PlannedMask | None:
    """A procedural mask whose share of the image is in `target_range`; None where there is none."""
    if target_range[0] >= target_range[1]:
        return None
    spec = ShapeSpec.typical(shape, size)
    low, high = np.log(target_range)
    for _ in range(_MAX_ATTEMPTS):
        sampled = spec.sample(rng)
        goal = math.exp(low + (0.2 + 0.6 * rng.random()) * (high - low)) * size * size
        length, width = sampled.length, sampled.width
        for _ in range(3):
            procedural = ShapeSpec(
                shape, (1, 1), (length, length), (width, width), spec.orientation, (0.4, 0.4, 0.6, 0.6)
            ).sample(rng)
            mask = procedural.draw(size, rng)
            if target_range[0] <= mask.mean() <= target_range[1]:
                return PlannedMask(mask, f"procedural {shape}", 1.0)
            change = math.sqrt(goal / mask.sum())
            length, width = min(max(length * change, 1.0), 1.5 * size), min(max(width * change, 1.0), 0.7 * size)
    return None


def _rotated(crop: Mask, degrees: float) -> Mask:
    """Rotated at three times the scale, so that thin lines stay connected."""
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
    """Where along a side it begins: at the border it reaches, else anywhere inside; centered where it is too long."""
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
