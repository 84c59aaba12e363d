"""How well a map says where the defect is, by the sources' protocol.

The map is enlarged to the image, scaled to 0..255 and cut at 127; where the classifier does not say defective (p > 0.5)
it is empty. One source averages over images, the other counts over all pixels of the set: both are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

THRESHOLD = 127
CERTAIN = 0.5
_LEVELS = 65535  # 257 for each of 255: a threshold falls between two levels, so that counting them is exact

Maps = NDArray[np.floating[Any]]
Masks = NDArray[np.bool_]
Probabilities = Sequence[float] | NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PixelScores:
    """Scores of pixels found against pixels annotated, 0..1; where nothing is found and nothing annotated all are 1."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    iou: float


@dataclass(frozen=True)
class Localization:
    """The quality of the maps of a set.

    Attributes:
        by_image: averaged over images.
        by_pixel: over all pixels of the set.
        pointing: share of defective images whose map peaks inside the annotation.
        weighting: mean share of the map's mass inside it, over defective images.
        auroc: of pixels ranked by the map, over all pixels; None where only one class of pixel occurs.
        average_precision: likewise.
        images: how many, of which
        defective: have an annotation.
    """

    by_image: PixelScores
    by_pixel: PixelScores
    pointing: float | None
    weighting: float | None
    auroc: float | None
    average_precision: float | None
    images: int
    defective: int


def thresholded(
    maps: Maps, probabilities: Sequence[float] | NDArray[np.floating[Any]], threshold: int = THRESHOLD
) -> Masks:
    """Pixels found, (N, H, W): above `threshold` of 255 on maps (N, H, W) in 0..1, none where p is 0.5 or less."""
    certain = np.asarray(probabilities, np.float64) > CERTAIN
    found: Masks = (np.asarray(maps) * 255 > threshold) & certain[:, None, None]
    return found


def pixel_scores(found: Masks, truth: Masks) -> PixelScores:
    """Scores of one mask or of many taken together.

    >>> pixel_scores(np.array([True, True, False]), np.array([True, False, False])).iou
    0.5
    """
    both = int((found & truth).sum())
    one, other = int(found.sum()), int(truth.sum())
    either = one + other - both
    return PixelScores(
        accuracy=float((found == truth).mean()) if found.size else 1.0,
        precision=_share(both, one, empty=other == 0),
        recall=_share(both, other, empty=one == 0),
        f1=_share(2 * both, one + other, empty=True),
        iou=_share(both, either, empty=True),
    )


def pointing(one: Maps, truth: Masks) -> bool:
    """Whether the peak of a map (H, W) lies inside the annotation (Zhang et al. 2018); a flat map points nowhere."""
    peak = one == one.max()
    return bool(one.max() > one.min() and truth[peak].mean() >= 0.5)


def weighting(one: Maps, truth: Masks) -> float:
    """Share of a map's mass, (H, W) and not negative, inside the annotation (Raatikainen and Rahtu 2022)."""
    total = float(one.sum())
    return float(one[truth].sum()) / total if total > 0 else 0.0


def localization(maps: Maps, truth: Masks, probabilities: Probabilities, *, threshold: int = THRESHOLD) -> Localization:
    """All scores of maps (N, H, W) in 0..1 against annotations (N, H, W).

    Raises:
        ValueError: shapes differ, nothing is given, or a map is not within 0..1.
    """
    maps, truth = np.asarray(maps), np.asarray(truth, bool)
    if maps.shape != truth.shape or maps.ndim != 3 or len(maps) != len(probabilities):
        raise ValueError(f"expected maps, masks and probabilities of the same N, got {maps.shape}, {truth.shape}")
    if not len(maps):
        raise ValueError("expected at least one map, got none")
    if not (np.isfinite(maps).all() and maps.min() >= 0 and maps.max() <= 1):
        raise ValueError("expected maps within 0..1; divide each by its maximum")
    found = thresholded(maps, probabilities, threshold)
    each = [pixel_scores(a, b) for a, b in zip(found, truth, strict=True)]
    defective = np.flatnonzero(truth.any(axis=(1, 2)))
    certain = np.asarray(probabilities, np.float64) > CERTAIN
    gated = maps * certain[:, None, None]
    mixed = bool(truth.any() and not truth.all())
    flat = truth.ravel(), gated.ravel()
    return Localization(
        by_image=PixelScores(*(float(np.mean([getattr(s, key) for s in each])) for key in PixelScores.__annotations__)),
        by_pixel=pixel_scores(found, truth),
        pointing=_mean([pointing(gated[i], truth[i]) for i in defective]),
        weighting=_mean([weighting(gated[i], truth[i]) for i in defective]),
        auroc=float(roc_auc_score(*flat)) if mixed else None,
        average_precision=float(average_precision_score(*flat)) if mixed else None,
        images=len(maps),
        defective=int(defective.size),
    )


def sweep(
    maps: Maps, truth: Masks, probabilities: Sequence[float], thresholds: Sequence[int] = tuple(range(15, 255, 16))
) -> dict[int, PixelScores]:
    """Scores over all pixels at several thresholds of 255, for looking at, not for choosing on test data."""
    return {at: pixel_scores(thresholded(maps, probabilities, at), truth) for at in thresholds}


class LocalizationCounter:
    """The scores of `localization`, image by image: images of any sizes and number in flat memory.

    Pixels are counted by the level of the map, of which there are 65,535. Scores at a threshold of 255 are exact; area
    under the curve and average precision take pixels of one level as equal.

    Args:
        threshold: of 255.
    """

    def __init__(self, threshold: int = THRESHOLD) -> None:
        self._threshold = threshold
        self._levels = np.zeros((2, _LEVELS + 1), np.int64)  # of pixels outside and inside the annotation
        self._images: list[PixelScores] = []
        self._pointing: list[bool] = []
        self._weighting: list[float] = []

    def add(self, one: Maps, truth: Masks, probability: float) -> None:
        """Counts a map (H, W) in 0..1 against its annotation (H, W); it is empty where the probability is 0.5 or less.

        Raises:
            ValueError: the shapes differ, or the map is not within 0..1.
        """
        one, truth = np.asarray(one), np.asarray(truth, bool)
        if one.shape != truth.shape or one.ndim != 2:
            raise ValueError(f"expected a map and a mask of one shape (H, W), got {one.shape} and {truth.shape}")
        if not (np.isfinite(one).all() and one.min() >= 0 and one.max() <= 1):
            raise ValueError("expected a map within 0..1; divide it by its maximum")
        gated = one if probability > CERTAIN else np.zeros_like(one)
        levels = np.ceil(gated.astype(np.float64) * _LEVELS).astype(np.intp)
        for number, inside in enumerate((~truth, truth)):
            self._levels[number] += np.bincount(levels[inside], minlength=_LEVELS + 1)
        self._images.append(pixel_scores(levels > self._cut(self._threshold), truth))
        if truth.any():
            self._pointing.append(pointing(gated, truth))
            self._weighting.append(weighting(gated, truth))

    @property
    def images(self) -> int:
        """How many were counted."""
        return len(self._images)

    def result(self) -> Localization:
        """All scores of what was counted.

        Raises:
            ValueError: nothing was.
        """
        if not self._images:
            raise ValueError("expected at least one map, got none")
        outside, inside = self._levels
        mixed = bool(outside.any() and inside.any())
        each = {key: [getattr(one, key) for one in self._images] for key in PixelScores.__annotations__}
        return Localization(
            by_image=PixelScores(**{key: float(np.mean(values)) for key, values in each.items()}),
            by_pixel=self._at(self._threshold),
            pointing=_mean(self._pointing),
            weighting=_mean(self._weighting),
            auroc=_area(outside, inside) if mixed else None,
            average_precision=_average_precision(outside, inside) if mixed else None,
            images=len(self._images),
            defective=len(self._pointing),
        )

    def sweep(self, thresholds: Sequence[int] = tuple(range(15, 255, 16))) -> dict[int, PixelScores]:
        """Scores over all pixels at several thresholds of 255, for looking at, not for choosing on test data."""
        return {at: self._at(at) for at in thresholds}

    def _at(self, threshold: int) -> PixelScores:
        outside, inside = self._levels
        above = slice(self._cut(threshold) + 1, None)
        both, wrong, other = int(inside[above].sum()), int(outside[above].sum()), int(inside.sum())
        total, one = int(self._levels.sum()), both + wrong
        return PixelScores(
            accuracy=(total - wrong - (other - both)) / total if total else 1.0,
            precision=_share(both, one, empty=other == 0),
            recall=_share(both, other, empty=one == 0),
            f1=_share(2 * both, one + other, empty=True),
            iou=_share(both, other + wrong, empty=True),
        )

    @staticmethod
    def _cut(threshold: int) -> int:
        """The highest level that a pixel at the threshold has."""
        return threshold * _LEVELS // 255


def _area(outside: NDArray[np.int64], inside: NDArray[np.int64]) -> float:
    """Area under the ROC curve of pixels counted by level, ties counting half."""
    below = np.cumsum(outside) - outside
    return float((inside * (below + outside / 2)).sum() / (float(inside.sum()) * float(outside.sum())))


def _average_precision(outside: NDArray[np.int64], inside: NDArray[np.int64]) -> float:
    """Sum of precision times the step of recall, from the highest level down."""
    hits, found = np.cumsum(inside[::-1]), np.cumsum((inside + outside)[::-1])
    return float((inside[::-1] * (hits / np.maximum(found, 1))).sum() / inside.sum())


def _share(part: int, whole: int, *, empty: bool) -> float:
    return part / whole if whole else float(empty)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
