"""Strata of class x size x brightness: which defects a data set has many of, few of, or none.

An image is measured first: size, shape, brightness and number of its defects.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import brightness
from defects.images.crops import CropSpec, read_crop
from defects.images.decode import read_sample
from defects.masks.width import Mask, bounding_box
from defects.sample import GOOD, Sample

SIZES = ("small", "medium", "large")
BRIGHTNESSES = ("dark", "neutral", "bright")


@dataclass(frozen=True)
class Instance:
    """One connected defect.

    Attributes:
        area: px.
        box: (x, y, width, height), px.
        elongation: length over width of the ellipse of the same second moments, from 1.
        solidity: area over that of the convex hull, 0..1.
        truncated: whether it reaches the border of the image.
    """

    area: int
    box: tuple[int, int, int, int]
    elongation: float
    solidity: float
    truncated: bool

    @property
    def box_side(self) -> float:
        """Root of the box's area, px."""
        return math.sqrt(self.box[2] * self.box[3])


@dataclass(frozen=True)
class Measure:
    """One image.

    Attributes:
        sample: the measured sample.
        shape: (height, width), px.
        area: of its defects, px.
        brightness: of the defects against their surroundings, -1..1; None for a good image.
        instances: its connected defects.
    """

    sample: Sample
    shape: tuple[int, int]
    area: int
    brightness: float | None
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
    """Measures every sample, in order.

    Args:
        samples: with masks where there are defects.
        crop_spec: measure this crop; None for the whole image at its own resolution.
        workers: threads.
        on_progress: called with the number of items completed since the last call.

    Raises:
        DataError: an image or a mask does not open.
    """

    def work(sample: Sample) -> Measure:
        image, mask = read_sample(sample) if crop_spec is None else read_crop(sample, crop_spec)
        return measure_image(sample, image, mask)

    measures = []
    with ThreadPoolExecutor(workers) as pool:
        for measured in pool.map(work, samples):
            measures.append(measured)
            if on_progress is not None:
                on_progress(1)
    return measures


def measure_image(sample: Sample, image: NDArray[np.uint8], mask: Mask, *, with_brightness: bool = True) -> Measure:
    """Measures one image (H, W, C) with its mask (H, W).

    Without its brightness, which takes longest, a defect counts as neutral: 0.
    """
    return Measure(
        sample=sample,
        shape=(mask.shape[0], mask.shape[1]),
        area=int(mask.sum()),
        brightness=(brightness(image, mask) if with_brightness else 0.0) if mask.any() else None,
        instances=tuple(_instances(mask)),
    )


def _instances(mask: Mask) -> list[Instance]:
    box = bounding_box(mask)
    if box is None:
        return []
    left, top, width, height = box
    part = mask[top : top + height, left : left + width].astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    instances = []
    for number in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[number])
        piece = (labels[y : y + h, x : x + w] == number).astype(np.uint8)
        x, y = x + left, y + top
        truncated = x == 0 or y == 0 or x + w == mask.shape[1] or y + h == mask.shape[0]
        instances.append(Instance(area, (x, y, w, h), _elongation(piece), _solidity(piece, area), truncated))
    return instances


def _elongation(piece: NDArray[np.uint8]) -> float:
    """A pixel has an area: its own second moment of 1/12 is added, so that a single one gives 1."""
    ys, xs = np.nonzero(piece)
    yy, xx, xy = ys.var() + 1 / 12, xs.var() + 1 / 12, float(((ys - ys.mean()) * (xs - xs.mean())).mean())
    middle, apart = (yy + xx) / 2, math.hypot((yy - xx) / 2, xy)
    return math.sqrt((middle + apart) / max(middle - apart, 1 / 12))


def _solidity(piece: NDArray[np.uint8], area: int) -> float:
    """The hull goes round the pixels' outer corners."""
    corners = np.pad(piece.repeat(2, 0).repeat(2, 1), 1)
    points = cv2.findNonZero(corners)
    hull = cv2.contourArea(cv2.convexHull(np.asarray(points, np.float32) / 2))
    return min(1.0, area / max(float(hull), float(area)))


@dataclass(frozen=True)
class Terciles:
    """The two values that divide the defects of a data set in three, for size and for brightness.

    Attributes:
        size: of the defective share of the image, 0..1.
        brightness: of the defect's brightness against its surroundings, -1..1.
    """

    size: tuple[float, float]
    brightness: tuple[float, float]

    @classmethod
    def fit(cls, measures: Sequence[Measure]) -> Terciles:
        """Of the images with a defect.

        Raises:
            ValueError: there are none.
        """
        marked = [m for m in measures if m.brightness is not None and m.sample.label != GOOD]
        if not marked:
            raise ValueError("expected images with a marked defect, got none; terciles have no meaning there")
        size = np.quantile([m.share for m in marked], [1 / 3, 2 / 3])
        luminance = np.quantile([m.brightness for m in marked if m.brightness is not None], [1 / 3, 2 / 3])
        return cls((float(size[0]), float(size[1])), (float(luminance[0]), float(luminance[1])))

    def to_dict(self) -> dict[str, list[float]]:
        """As JSON."""
        return {"size": list(self.size), "brightness": list(self.brightness)}


@dataclass(frozen=True)
class Stratum:
    """One stratum, filled or empty.

    Attributes:
        class_name: of the defect.
        size: one of `SIZES`.
        brightness: one of `BRIGHTNESSES`.
        names: of the samples in it, sorted.
        groups: number of specimens.
    """

    class_name: str
    size: str
    brightness: str
    names: tuple[str, ...]
    groups: int

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.names)

    @property
    def name(self) -> str:
        """Such as `crack-large-dark`."""
        return f"{self.class_name}-{self.size}-{self.brightness}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the names."""
        return {
            "kind": self.class_name,
            "size": self.size,
            "brightness": self.brightness,
            "count": self.count,
            "groups": self.groups,
        }


def stratum_of(measure: Measure, terciles: Terciles) -> tuple[str, str, str] | None:
    """Class, size and brightness of an image; None for one without a marked defect."""
    if measure.brightness is None or measure.sample.label == GOOD:
        return None
    size = SIZES[sum(measure.share > edge for edge in terciles.size)]
    return measure.sample.label, size, BRIGHTNESSES[sum(measure.brightness > edge for edge in terciles.brightness)]


def strata_of(measures: Sequence[Measure], terciles: Terciles | None = None) -> list[Stratum]:
    """All strata of the classes that occur, empty ones too, by class, size and brightness.

    Args:
        measures: of a set.
        terciles: of another data set, to count in its strata; by default this one's own.
    """
    classes = sorted({m.sample.label for m in measures if m.sample.label != GOOD})
    if terciles is None:
        if not any(m.brightness is not None for m in measures):
            return []
        terciles = Terciles.fit(measures)
    members: dict[tuple[str, str, str], list[Sample]] = defaultdict(list)
    for measure in measures:
        key = stratum_of(measure, terciles)
        if key is not None:
            members[key].append(measure.sample)
    strata = []
    for class_name in classes:
        for size in SIZES:
            for luminance in BRIGHTNESSES:
                inside = members[class_name, size, luminance]
                names = tuple(sorted(sample.name for sample in inside))
                strata.append(Stratum(class_name, size, luminance, names, len({sample.part for sample in inside})))
    return strata
