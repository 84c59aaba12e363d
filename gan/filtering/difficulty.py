"""How hard real defects are to find, so that synthetic ones can be as hard: neither easier nor harder.

A filter that passes only what is found well leaves easy defects, and a classifier has little to learn from those. Real
ones are found well, badly or not at all. So every image has a target: the label IoU of one real defect, sampled among
those of the same class and a similar size. The segmenter must not have been trained on that defect: there are several,
each trained on all folds but one (cross-fitting). A synthetic image is scored by the one that was not trained on the
image it was blended into, and otherwise by that of the real defect of its target.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defects.images.crops import CropSpec
from defects.sample import GOOD, Sample
from defects.splits import near_duplicate_groups, split
from engine.commands import Progress
from gan.blending.matching import sample_nearest
from metrics.data.image_set import ImageSet
from metrics.labels.fidelity import overlaps
from metrics.labels.network import SegmenterSettings
from metrics.labels.segmenter import Segmenter, load_or_train

FOLDS = 3
SIZE = 0.7
"""Unit difference of two areas, in logarithms."""
ANY = 5
"""A class with fewer defects takes targets from those of all classes."""


@dataclass(frozen=True)
class Difficulty:
    """Real defects, each with the prediction of a segmenter that was not trained on its part.

    Attributes:
        classes: (N,) class names, case-folded.
        areas: (N,) px of the label in its crop.
        overlaps: (N,) IoU of label and prediction.
        folds: (N,) number of that segmenter.
    """

    classes: NDArray[np.str_]
    areas: NDArray[np.float64]
    overlaps: NDArray[np.float64]
    folds: NDArray[np.int64]

    def target(self, label: str, area: int, share: float) -> tuple[float, int]:
        """The IoU of a defect of a class and a similar area, and its segmenter; `share`, 0..1, selects one.

        >>> classes, areas, ious = ["pit"] * 6, [9.0] * 3 + [900.0] * 3, [0.0] * 3 + [0.8] * 3
        >>> two = Difficulty(np.array(classes), np.array(areas), np.array(ious), np.array([0, 0, 0, 1, 1, 1]))
        >>> two.target("pit", 10, 0.9), two.target("pit", 1000, 0.1)
        ((0.0, 0), (0.8, 1))
        """
        same = np.flatnonzero(self.classes == label.casefold())
        usable = same if same.size >= ANY else np.arange(self.classes.size)
        distances = (np.log(self.areas[usable] / max(area, 1)) / SIZE) ** 2
        pick = usable[sample_nearest(distances, share)]
        return float(self.overlaps[pick]), int(self.folds[pick])

    @property
    def digest(self) -> str:
        """Identifies the measurements."""
        content = hashlib.sha256("\n".join(self.classes.tolist()).encode())
        content.update(self.areas.tobytes() + self.overlaps.tobytes() + self.folds.tobytes())
        return content.hexdigest()


def measure_difficulty(
    samples: Sequence[Sample],
    crop_spec: CropSpec,
    cache: Path | None,
    *,
    settings: SegmenterSettings,
    seed: int,
    threads: int | None,
    show: Callable[[int, str, str], AbstractContextManager[Progress]],
) -> tuple[Difficulty, tuple[Segmenter, ...], list[int]]:
    """Trains `FOLDS` segmenters, or takes them from the cache.

    Args:
        samples: Real images, good ones among them.
        crop_spec: How they are cropped.
        cache: Folder of segmenters; None caches none.
        settings: Of the segmenters.
        seed: Of the folds; segmenter k has `seed` + k.
        threads: Of PyTorch.
        show: Makes the progress bar of one step.

    Returns:
        The difficulties, the segmenters, and for each sample the number of the one not trained on it.

    Raises:
        ValueError: There are too few parts with a defect.
        DataError: An image does not open.
        WeightsError: ImageNet weights are not available.
    """
    every = list(samples)
    if not any(sample.group for sample in every):
        groups = near_duplicate_groups(every)
        every = [replace(sample, group=group) for sample, group in zip(every, groups, strict=True)]
    folds = list(split(every, {str(fold): 1 / FOLDS for fold in range(FOLDS)}, seed).values())
    if not all(any(sample.label != GOOD for sample in fold) for fold in folds):
        parts = len({sample.part for sample in every if sample.label != GOOD})
        raise ValueError(f"expected defects of at least {FOLDS} parts, got {parts}; give more, or --min-label-iou")
    whose = {sample.name: number for number, fold in enumerate(folds) for sample in fold}
    numbers = [whose[sample.name] for sample in every]
    images = ImageSet("--filter-with", every, crop_spec)
    segmenters, rows = [], []
    for number in range(FOLDS):
        others = images.part([i for i, fold in enumerate(numbers) if fold != number])
        title = f"segmenter of real defects, {number + 1} of {FOLDS}"
        with show(settings.steps, title, "step") as bar:
            segmenter = load_or_train(
                others, cache, settings=settings, seed=seed + number, threads=threads, on_progress=bar.update
            )
        segmenters.append(segmenter)
        unseen = images.part([i for i, fold in enumerate(numbers) if fold == number])
        labels = unseen.masks()
        for sample, label, iou in zip(unseen.samples, labels, overlaps(segmenter.predict(unseen), labels), strict=True):
            if label.any():
                rows.append((sample.label.casefold(), float(label.sum()), float(iou), number))
    return Difficulty(*map(np.asarray, zip(*rows, strict=True))), tuple(segmenters), numbers
