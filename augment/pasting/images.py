"""Where the part is in a photograph, and which of its edges a defect reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.images.crops import CropSpec, as_channels, scaled
from defects.images.decode import read_sample
from defects.masks.width import Mask, bounding_box
from defects.sample import Sample
from engine.files.atomic import sha256_file
from engine.runtime.cache import BoundedCache

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px; right and bottom are the first px outside."""

_DARK = 0.3
"""Strips darker than this share of the median luminance, reaching the picture's border, are not the part."""

_LOOKED_AT = 512

_NEAR, _NEAR_LARGE = 0.02, 0.07
"""A defect nearer to the part's edge than this share of its side reaches it; one that spans the side may be further."""


def part_region(light: NDArray[np.uint8]) -> Mask:
    """(H, W) True where the part is: all but dark strips and corners along the border of the picture.

    A picture that would be mostly dark is taken as part throughout.

    Args:
        light: (H, W) luminance; looked at no larger than 512 px.
    """
    height, breadth = light.shape
    zoom = min(1.0, _LOOKED_AT / max(height, breadth))
    small = (max(1, round(breadth * zoom)), max(1, round(height * zoom)))
    light = cv2.blur(cv2.resize(light, small, interpolation=cv2.INTER_AREA), (5, 5)).astype(np.uint8)
    dark = (light < _DARK * float(np.median(light))).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark, connectivity=4)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.isin(labels, np.unique(border[border > 0]))
    outside = cv2.dilate(outside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if outside.mean() >= 0.5:
        outside = np.zeros_like(outside)
    region: Mask = cv2.resize(outside.astype(np.uint8), (breadth, height), interpolation=cv2.INTER_NEAREST) == 0
    return region


def part_box(region: Mask) -> Box:
    """The rows and columns that are at least half part."""
    rows, columns = np.flatnonzero(region.mean(axis=1) >= 0.5), np.flatnonzero(region.mean(axis=0) >= 0.5)
    if not rows.size or not columns.size:
        return 0, 0, region.shape[1], region.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def edges_reached(mask: Mask, part: Box) -> tuple[bool, bool, bool, bool]:
    """Whether a defect reaches the left, top, right and bottom edge of its part."""
    box = bounding_box(mask)
    if box is None:
        return False, False, False, False
    x, y, w, h = box
    left, top, right, bottom = part
    across, down = _reach(w, right - left), _reach(h, bottom - top)
    return x <= left + across, y <= top + down, x + w >= right - across, y + h >= bottom - down


def _reach(extent: int, side: int) -> float:
    share = min(1.0, extent / max(1, side))
    return max(2.0, side * (_NEAR + (_NEAR_LARGE - _NEAR) * share**2))


Image = NDArray[np.uint8]

_KEPT_BYTES = 192 * 1024 * 1024


@dataclass(frozen=True)
class Photograph:
    """A whole photograph, at its own resolution or at that of a framing.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W), its own defect.
        region: (H, W), where the part is.
        light: (H, W) uint8 luminance.
        sample: where it comes from.
    """

    image: Image
    mask: Mask
    region: Mask
    light: NDArray[np.uint8]
    sample: Sample

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return self.image.nbytes + self.mask.nbytes + self.region.nbytes + self.light.nbytes


def part_of(photograph: Photograph, cut: tuple[slice, slice]) -> Photograph:
    """Rows and columns of a photograph."""
    image, mask = np.ascontiguousarray(photograph.image[cut]), photograph.mask[cut].copy()
    return Photograph(image, mask, photograph.region[cut], photograph.light[cut], photograph.sample)


class Photographs:
    """Reads photographs and keeps the latest of them.

    Args:
        crop_spec: Scale and channels to bring them to; None leaves them as they are.
        most: Bytes that are kept.
    """

    def __init__(self, crop_spec: CropSpec | None, *, most: int = _KEPT_BYTES) -> None:
        self.crop_spec = crop_spec
        self._kept = BoundedCache[Photograph](most, lambda photograph: photograph.size)
        self._hashes: dict[str, str] = {}

    def read(self, sample: Sample) -> Photograph:
        """The photograph of a sample, or the part of it that `metadata["square"]` (x, y, width, height in px) names.

        Raises:
            DataError: the image or its mask does not open.
        """
        square = sample.metadata.get("square")
        key = str(sample.image) if square is None else f"{sample.image}@{square}"
        return self._kept.get(key, lambda: self._read(sample, square))

    def _read(self, sample: Sample, square: Sequence[int] | None) -> Photograph:
        image, mask = read_sample(sample)
        if square is not None:
            x, y, width, height = square
            cut = slice(y, y + height), slice(x, x + width)
            image, mask = np.ascontiguousarray(image[cut]), np.ascontiguousarray(mask[cut])
        if self.crop_spec is not None:
            image, mask = scaled(image, mask, self.crop_spec)
        light = as_channels(image, 1)[..., 0]
        return Photograph(image, mask, part_region(light), light, sample)

    def origin(self, sample: Sample) -> dict[str, str]:
        """Name, hash of the image file and group of a sample, for the metadata of what is made of it."""
        key = str(sample.image)
        if key not in self._hashes:
            self._hashes[key] = str(sample.metadata.get("sha256") or sha256_file(sample.image))
        return {"name": sample.name, "sha256": self._hashes[key], "group": sample.group}


_TRIES = 12

_FULL = 0.95
"""A window with a larger share of defect shows too little of the ground."""


def view_of(pasted: Mask, own: Mask, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a window of `size` px that holds the pasted defect, not always in its middle.

    Of a few windows, the one that shows least of the defects that the ground had before is taken, and of a defect
    larger than the window one that shows its edge.

    Args:
        pasted: (H, W), both sides at least `size`; not empty.
        own: (H, W) defects of the ground.
        size: px.
        rng: draws the window.
    """
    height, breadth = pasted.shape
    x, y, w, h = bounding_box(pasted) or (0, 0, breadth, height)
    best, least = (slice(0, size), slice(0, size)), float("inf")
    for across, down in rng.random((_TRIES, 2)):
        left = _start(x, w, breadth, size, float(across))
        top = _start(y, h, height, size, float(down))
        cut = slice(top, top + size), slice(left, left + size)
        seen = float(own[cut].sum()) + size * size * bool(pasted[cut].mean() > _FULL)
        if seen < least:
            best, least = cut, seen
        if not seen:
            break
    return best


def window_at_random(own: Mask, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of any window of `size` px; of a few, the one that shows least of the ground's own defects."""
    best, least = (slice(0, size), slice(0, size)), float("inf")
    for across, down in rng.random((_TRIES, 2)):
        top, left = (int(s * (side - size + 1)) for s, side in zip((down, across), own.shape, strict=True))
        cut = slice(top, top + size), slice(left, left + size)
        seen = float(own[cut].sum())
        if seen < least:
            best, least = cut, seen
    return best


def _start(at: int, length: int, side: int, size: int, share: float) -> int:
    """Where a window begins so that it holds the defect with a little room, or lies across an end of a larger one."""
    if length > size:
        start = at - share * size if share < 0.5 else at + length - size + (share - 0.5) * size
        return int(np.clip(round(start), 0, side - size))
    room = min((size - length) // 2, size // 8)
    low, high = at + length + room - size, at - room
    return int(np.clip(round(low + share * (high - low)), 0, side - size))
