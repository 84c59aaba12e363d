"""Strata of class x size x brightness: which defects a data set has many of, few of, or none.

An image is measured first: size, shape, brightness and number of its defects.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.appearance import brightness
from defects.images.crops import CropSpec, read_crop
from defects.images.decode import read_sample
from defects.masks.width import Mask, bounding_box
from defects.sample import GOOD, Sample
from engine.errors import DataError

AXES = ("class", "size", "brightness")
Key = tuple[str, ...]
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


def stratum_of(measure: Measure, terciles: Terciles) -> tuple[str, str, str] | None:
    """Class, size and brightness of an image; None for one without a marked defect."""
    if measure.brightness is None or measure.sample.label == GOOD:
        return None
    size = SIZES[sum(measure.share > edge for edge in terciles.size)]
    return measure.sample.label, size, BRIGHTNESSES[sum(measure.brightness > edge for edge in terciles.brightness)]


@dataclass(frozen=True)
class StrataFill:
    """The strata of a mixture.

    Attributes:
        axes: What defines them.
        before: Real training images of each stratum, empty ones too.
        after: All training images of each.
    """

    axes: tuple[str, ...]
    before: dict[Key, int]
    after: dict[Key, int]

    def to_dict(self) -> dict[str, Any]:
        """As JSON, by the stored names of the axes."""
        axes = ["kind" if axis == "class" else axis for axis in self.axes]
        rows = [
            {**dict(zip(axes, key, strict=True)), "before": number, "after": self.after[key]}
            for key, number in self.before.items()
        ]
        return {"axes": axes, "cells": rows}


class Stratifier:
    """Assigns images to strata, by thirds of the sizes and brightnesses of the real training images.

    Args:
        axes: Any of class, size and brightness.
        train: The real training images.
        read: Reads an image (H, W, C) and its mask to measure; not used where the class alone defines the strata.
        workers: Threads.
        on_progress: Called with the number of images measured since the last call.

    Raises:
        DataError: No real image has a marked defect.
    """

    def __init__(
        self,
        axes: Sequence[str],
        train: Sequence[Sample],
        read: Callable[[Sample], tuple[NDArray[np.uint8], Mask]],
        *,
        workers: int = 2,
        on_progress: Callable[[int], object] | None = None,
    ) -> None:
        self.axes = tuple(axis for axis in AXES if axis in axes)
        self._read, self._workers, self._report = read, workers, on_progress or (lambda _: None)
        defective = [sample for sample in train if sample.label != GOOD]
        self._terciles: Terciles | None = None
        measures: list[Measure] = []
        if self.axes != ("class",):
            measures = self._measure(defective)
            if not any(m.brightness is not None for m in measures):
                what = "--balance: no real training image has a marked defect; balance by class alone"
                raise DataError(what, code="E-mix-no-defect")
            self._terciles = Terciles.fit(measures)
        values = {"class": sorted({s.label for s in defective}), "size": SIZES, "brightness": BRIGHTNESSES}
        counts = Counter(self._keys(defective, measures))
        self.before = {key: counts[key] for key in itertools.product(*(values[axis] for axis in self.axes))}

    def keys(self, samples: Sequence[Sample]) -> list[Key]:
        """The stratum of every defective sample.

        Raises:
            DataError: An image or mask does not open.
        """
        return self._keys(samples, self._measure(samples) if self._terciles is not None else [])

    def fill(self, added: Sequence[Key]) -> StrataFill:
        """The strata with these images added."""
        counts: Mapping[Key, int] = Counter(added)
        keys = [*self.before, *sorted(set(counts) - set(self.before))]
        before = {key: self.before.get(key, 0) for key in keys}
        return StrataFill(self.axes, before, {key: before[key] + counts.get(key, 0) for key in keys})

    def _keys(self, samples: Sequence[Sample], measures: Sequence[Measure]) -> list[Key]:
        if self._terciles is None:
            return [(sample.label,) for sample in samples]
        keys = []
        for sample, measure in zip(samples, measures, strict=True):
            stratum = stratum_of(measure, self._terciles) or (sample.label, "none", "none")
            named = dict(zip(AXES, stratum, strict=True))
            keys.append(tuple(named[axis] for axis in self.axes))
        return keys

    def _measure(self, samples: Sequence[Sample]) -> list[Measure]:
        def work(sample: Sample) -> Measure:
            image, mask = self._read(sample)
            measure = measure_image(sample, image, mask, with_brightness="brightness" in self.axes)
            self._report(1)
            return measure

        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(work, samples))
