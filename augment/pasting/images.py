"""Images to paste into and from: the region of the part, its edges, crops, a reader with a cache, and cut-outs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.appearance import background_level
from defects.images.crops import CropSpec, scaled
from defects.images.decode import as_channels, read_sample
from defects.masks.width import Mask, bounding_box
from defects.sample import Floats, Image, Sample
from engine.files.atomic import sha256_file
from engine.runtime.cache import BoundedCache

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px; right and bottom are the first px outside."""

_DARK = 0.3
"""Strips darker than this share of the median luminance, reaching the image's border, are not the part."""

_ANALYSIS_SIDE = 512

_NEAR, _NEAR_LARGE = 0.02, 0.07
"""A defect nearer to the part's edge than this share of its side reaches it; one that spans the side may be further."""


def part_region(luminance: NDArray[np.uint8]) -> Mask:
    """(H, W) True where the part is: all but dark strips and corners along the border of the image.

    In a mostly dark image the part is everywhere.

    Args:
        luminance: (H, W); analyzed at 512 px at most.
    """
    height, width = luminance.shape
    zoom = min(1.0, _ANALYSIS_SIDE / max(height, width))
    small = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    luminance = cv2.blur(cv2.resize(luminance, small, interpolation=cv2.INTER_AREA), (5, 5)).astype(np.uint8)
    dark = (luminance < _DARK * float(np.median(luminance))).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark, connectivity=4)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.isin(labels, np.unique(border[border > 0]))
    outside = cv2.dilate(outside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if outside.mean() >= 0.5:
        outside = np.zeros_like(outside)
    region: Mask = cv2.resize(outside.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) == 0
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
    across, down = _edge_distance(w, right - left), _edge_distance(h, bottom - top)
    return x <= left + across, y <= top + down, x + w >= right - across, y + h >= bottom - down


def _edge_distance(extent: int, side: int) -> float:
    share = min(1.0, extent / max(1, side))
    return max(2.0, side * (_NEAR + (_NEAR_LARGE - _NEAR) * share**2))


_CACHE_BYTES = 192 * 1024 * 1024


@dataclass(frozen=True)
class LoadedImage:
    """A decoded image, at its own resolution or at that of a crop spec.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W), its own defect.
        region: (H, W), True on the part.
        luminance: (H, W) uint8 luminance.
        sample: the image's sample.
    """

    image: Image
    mask: Mask
    region: Mask
    luminance: NDArray[np.uint8]
    sample: Sample

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return self.image.nbytes + self.mask.nbytes + self.region.nbytes + self.luminance.nbytes


def cropped(loaded: LoadedImage, cut: tuple[slice, slice]) -> LoadedImage:
    """Rows and columns of an image."""
    image, mask = np.ascontiguousarray(loaded.image[cut]), loaded.mask[cut].copy()
    return LoadedImage(image, mask, loaded.region[cut], loaded.luminance[cut], loaded.sample)


class ImageReader:
    """Reads images through a cache of the latest.

    Args:
        crop_spec: Scale and channels to bring them to; None leaves them as they are.
        max_bytes: Size of the cache.
    """

    def __init__(self, crop_spec: CropSpec | None, *, max_bytes: int = _CACHE_BYTES) -> None:
        self.crop_spec = crop_spec
        self._cache = BoundedCache[LoadedImage](max_bytes, lambda loaded: loaded.size)
        self._hashes: dict[str, str] = {}

    def read(self, sample: Sample) -> LoadedImage:
        """The image of a sample, or the box of it that `metadata["square"]` (x, y, width, height in px) names.

        Raises:
            DataError: the image or its mask does not open.
        """
        box = sample.metadata.get("square")
        key = str(sample.image) if box is None else f"{sample.image}@{box}"
        return self._cache.get(key, lambda: self._read(sample, box))

    def _read(self, sample: Sample, box: Sequence[int] | None) -> LoadedImage:
        image, mask = read_sample(sample)
        if box is not None:
            x, y, width, height = box
            cut = slice(y, y + height), slice(x, x + width)
            image, mask = np.ascontiguousarray(image[cut]), np.ascontiguousarray(mask[cut])
        if self.crop_spec is not None:
            image, mask = scaled(image, mask, self.crop_spec)
        luminance = as_channels(image, 1)[..., 0]
        return LoadedImage(image, mask, part_region(luminance), luminance, sample)

    def origin(self, sample: Sample) -> dict[str, str]:
        """Name, hash of the image file and group of a sample, for the metadata of what is pasted."""
        key = str(sample.image)
        if key not in self._hashes:
            self._hashes[key] = str(sample.metadata.get("sha256") or sha256_file(sample.image))
        return {"name": sample.name, "sha256": self._hashes[key], "group": sample.group}


_MAX_ATTEMPTS = 12

_FULL = 0.95
"""A crop with a larger share of defect contains too little background."""


def crop_around(pasted: Mask, existing: Mask, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a crop of `size` px that contains the pasted defect, not always in its middle.

    Of a few random crops the one with the fewest defective pixels of the background itself is taken; around a defect
    larger than the crop, one that contains an edge of it.

    Args:
        pasted: (H, W), both sides at least `size`; not empty.
        existing: (H, W) the background's own defects.
        size: px.
        rng: draws the crop.
    """
    height, width = pasted.shape
    x, y, w, h = bounding_box(pasted) or (0, 0, width, height)
    best, least = (slice(0, size), slice(0, size)), float("inf")
    for across, down in rng.random((_MAX_ATTEMPTS, 2)):
        left = _start(x, w, width, size, float(across))
        top = _start(y, h, height, size, float(down))
        cut = slice(top, top + size), slice(left, left + size)
        defective = float(existing[cut].sum()) + size * size * bool(pasted[cut].mean() > _FULL)
        if defective < least:
            best, least = cut, defective
        if not defective:
            break
    return best


def random_crop(existing: Mask, size: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a random crop of `size` px; of a few, the one with the fewest defective pixels."""
    best, least = (slice(0, size), slice(0, size)), float("inf")
    for across, down in rng.random((_MAX_ATTEMPTS, 2)):
        top, left = (int(s * (side - size + 1)) for s, side in zip((down, across), existing.shape, strict=True))
        cut = slice(top, top + size), slice(left, left + size)
        defective = float(existing[cut].sum())
        if defective < least:
            best, least = cut, defective
    return best


def _start(at: int, length: int, side: int, size: int, share: float) -> int:
    """Start of a crop that contains the defect with a little room, or lies across an end of a larger one."""
    if length > size:
        start = at - share * size if share < 0.5 else at + length - size + (share - 0.5) * size
        return int(np.clip(round(start), 0, side - size))
    room = min((size - length) // 2, size // 8)
    low, high = at + length + room - size, at - room
    return int(np.clip(round(low + share * (high - low)), 0, side - size))


_LEAST_AREA = 9
"""Specks of fewer px are not worth pasting."""


@dataclass(frozen=True)
class Cutout:
    """One defect with its surroundings.

    Attributes:
        patch: (h, w, C) uint8: the defect's box and a margin, where the image has one.
        mask: (h, w) the defect.
        level: (h, w, C) smooth background level, interpolated under the defect.
        corner: (x, y) of the patch in its image.
        part: box of the part in the image.
        hull: (2, K) x and y of the defect's convex hull in the patch.
        edges: whether the defect reaches its part's left, top, right and bottom edge.
    """

    patch: NDArray[np.uint8]
    mask: Mask
    level: Floats
    corner: tuple[int, int]
    part: Box
    hull: NDArray[np.float64]
    edges: tuple[bool, bool, bool, bool]

    @property
    def area(self) -> int:
        """Of the defect, px."""
        return int(self.mask.sum())


def clusters(mask: Mask) -> list[Mask]:
    """The defects of a mask: components closer than half the size of the largest are one defect.

    Specks are left out: most are annotation errors.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return [mask] if mask.sum() >= _LEAST_AREA else []
    distance = int(np.clip(0.5 * np.sqrt(stats[1:, cv2.CC_STAT_AREA].max()), 4, 40))
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * distance + 1, 2 * distance + 1), np.uint8))
    count, labels = cv2.connectedComponents(near, connectivity=8)
    defects = [mask & (labels == i) for i in range(1, count)]
    return [part for part in defects if part.sum() >= _LEAST_AREA]


def cut_out(loaded: LoadedImage, defect: Mask) -> Cutout:
    """One of the `clusters` of an image, with a margin.

    Raises:
        ValueError: the defect is empty.
    """
    box = bounding_box(defect)
    if box is None:
        raise ValueError("expected a defect, got an empty mask; take one of clusters(mask)")
    x, y, w, h = box
    scale = float(np.sqrt(defect.sum()))
    margin = int(np.clip(scale, 16, 64))
    height, width = defect.shape
    left, top, right, bottom = max(0, x - margin), max(0, y - margin), x + w + margin, y + h + margin
    cut = slice(top, min(height, bottom)), slice(left, min(width, right))
    part = part_box(loaded.region)
    patch, whole = loaded.image[cut], loaded.mask[cut]
    hidden = cv2.dilate(whole.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    sigma = smoothing(scale)
    return Cutout(
        np.ascontiguousarray(patch),
        np.ascontiguousarray(defect[cut]),
        background_level(patch, sigma, hidden),
        (left, top),
        part,
        _hull(defect[cut]),
        edges_reached(defect, part),
    )


def smoothing(scale: float) -> float:
    """Sigma of the background level for a defect of `scale` (root of its area) px."""
    return float(np.clip(0.35 * scale, 4, 24))


def _hull(mask: Mask) -> NDArray[np.float64]:
    points = cv2.findNonZero(mask.astype(np.uint8))
    return np.asarray(cv2.convexHull(points).reshape(-1, 2).T, np.float64)
