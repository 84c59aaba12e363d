"""What is measured on every image of a set: its defects' size, shape, brightness and number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import brightness
from defects.images.crops import CropSpec, as_channels, read_crop
from defects.images.decode import read_sample
from defects.masks.width import Mask, bounding_box
from defects.sample import Sample


@dataclass(frozen=True)
class Instance:
    """One connected defect.

    Attributes:
        area: px.
        box: (x, y, width, height), px.
        elongation: length over width of the ellipse of the same second moments, from 1.
        solidity: area over that of the convex hull, 0..1.
        cut: whether it reaches the border of the picture, so that it may go on beyond.
    """

    area: int
    box: tuple[int, int, int, int]
    elongation: float
    solidity: float
    cut: bool

    @property
    def box_side(self) -> float:
        """Root of the box's area, px."""
        return math.sqrt(self.box[2] * self.box[3])


@dataclass(frozen=True)
class Measure:
    """One image.

    Attributes:
        sample: where it comes from.
        shape: (height, width), px.
        area: of its defects, px.
        brightness: of the defects against their surroundings, -1..1; None for a good part.
        level: mean luminance of the ground, 0..1.
        instances: its connected defects.
    """

    sample: Sample
    shape: tuple[int, int]
    area: int
    brightness: float | None
    level: float
    instances: tuple[Instance, ...]

    @property
    def pixels(self) -> int:
        """Of the image."""
        return self.shape[0] * self.shape[1]

    @property
    def share(self) -> float:
        """Defective part of the image, 0..1."""
        return self.area / self.pixels


def measure_samples(
    samples: Sequence[Sample],
    crop_spec: CropSpec | None = None,
    *,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
) -> list[Measure]:
    """Every sample, in order.

    Args:
        samples: with masks where there are defects.
        crop_spec: measure the square that a generator sees; None for the whole photograph at its own resolution.
        workers: threads.
        on_progress: told how many more are done.

    Raises:
        DataError: an image or a mask does not open.
    """

    def look(sample: Sample) -> Measure:
        image, mask = read_sample(sample) if crop_spec is None else read_crop(sample, crop_spec)
        return measure_image(sample, image, mask)

    found = []
    with ThreadPoolExecutor(workers) as pool:
        for measured in pool.map(look, samples):
            found.append(measured)
            if on_progress is not None:
                on_progress(1)
    return found


def measure_image(sample: Sample, image: NDArray[np.uint8], mask: Mask) -> Measure:
    """One image (H, W, C) with its mask (H, W)."""
    light = as_channels(image, 1)[..., 0]
    ground = light[~mask]
    return Measure(
        sample=sample,
        shape=(mask.shape[0], mask.shape[1]),
        area=int(mask.sum()),
        brightness=brightness(image, mask) if mask.any() else None,
        level=float(ground.mean()) / 255 if ground.size else float(light.mean()) / 255,
        instances=tuple(_instances(mask)),
    )


def _instances(mask: Mask) -> list[Instance]:
    box = bounding_box(mask)
    if box is None:
        return []
    left, top, width, height = box
    part = mask[top : top + height, left : left + width].astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    found = []
    for number in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[number])
        piece = (labels[y : y + h, x : x + w] == number).astype(np.uint8)
        x, y = x + left, y + top
        cut = x == 0 or y == 0 or x + w == mask.shape[1] or y + h == mask.shape[0]
        found.append(Instance(area, (x, y, w, h), _elongation(piece), _solidity(piece, area), cut))
    return found


def _elongation(piece: NDArray[np.uint8]) -> float:
    """A pixel is a square, not a point: its own second moment of 1/12 is added, so that a single one gives 1."""
    ys, xs = np.nonzero(piece)
    yy, xx, xy = ys.var() + 1 / 12, xs.var() + 1 / 12, float(((ys - ys.mean()) * (xs - xs.mean())).mean())
    middle, apart = (yy + xx) / 2, math.hypot((yy - xx) / 2, xy)
    return math.sqrt((middle + apart) / max(middle - apart, 1 / 12))


def _solidity(piece: NDArray[np.uint8], area: int) -> float:
    """The hull runs round the pixels' outer corners."""
    corners = np.pad(piece.repeat(2, 0).repeat(2, 1), 1)
    points = cv2.findNonZero(corners)
    hull = cv2.contourArea(cv2.convexHull(np.asarray(points, np.float32) / 2))
    return min(1.0, area / max(float(hull), float(area)))
