"""How hard real defects are to find, so that synthetic ones can be made as hard: neither easier nor harder.

A filter that keeps what is found well leaves easy defects over, and a classifier has little to learn from those. Real
ones are found well, badly or not at all. So every image aims at what a segmenter finds of one real defect, drawn at
random, of the same kind and a like size. The segmenter must not have learnt from that defect: there are several, each
of which has seen all parts but its own share (cross-fitting). A synthetic image is judged by the one that has not seen
the photograph it was drawn into, and otherwise by that of the real defect it aims at.
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
from gan.blending.matching import likest_mostly
from metrics.data.image_set import ImageSet
from metrics.labels.fidelity import overlaps
from metrics.labels.network import SegmenterSettings
from metrics.labels.segmenter import Segmenter, load_or_train

FOLDS = 3
SIZE = 0.7
"""Difference of two areas, in logarithms, that counts as one."""
ANY = 5
"""A kind with fewer defects draws from those of all kinds."""


@dataclass(frozen=True)
class Difficulty:
    """Real defects, each with what a segmenter found of it that has not learnt from its part.

    Attributes:
        kinds: (N,) folded names.
        areas: (N,) px of the label in its window.
        overlaps: (N,) IoU of label and what was found.
        folds: (N,) number of the segmenter that found it.
    """

    kinds: NDArray[np.str_]
    areas: NDArray[np.float64]
    overlaps: NDArray[np.float64]
    folds: NDArray[np.int64]

    def target(self, kind: str, area: int, share: float) -> tuple[float, int]:
        """The IoU of a defect of a kind and a like area, and its segmenter; `share`, 0..1, tells which.

        >>> kinds, areas, found = ["pit"] * 6, [9.0] * 3 + [900.0] * 3, [0.0] * 3 + [0.8] * 3
        >>> two = Difficulty(np.array(kinds), np.array(areas), np.array(found), np.array([0, 0, 0, 1, 1, 1]))
        >>> two.target("pit", 10, 0.9), two.target("pit", 1000, 0.1)
        ((0.0, 0), (0.8, 1))
        """
        own = np.flatnonzero(self.kinds == kind.casefold())
        usable = own if own.size >= ANY else np.arange(self.kinds.size)
        off = (np.log(self.areas[usable] / max(area, 1)) / SIZE) ** 2
        pick = usable[likest_mostly(off, share)]
        return float(self.overlaps[pick]), int(self.folds[pick])

    @property
    def digest(self) -> str:
        """Names what was measured."""
        content = hashlib.sha256("\n".join(self.kinds.tolist()).encode())
        content.update(self.areas.tobytes() + self.overlaps.tobytes() + self.folds.tobytes())
        return content.hexdigest()


def measure_difficulty(
    samples: Sequence[Sample],
    crop_spec: CropSpec,
    kept: Path | None,
    *,
    settings: SegmenterSettings,
    seed: int,
    threads: int | None,
    show: Callable[[int, str, str], AbstractContextManager[Progress]],
) -> tuple[Difficulty, tuple[Segmenter, ...], list[int]]:
    """Trains `FOLDS` segmenters, or takes them from where they were kept.

    Args:
        samples: real images, good ones among them.
        crop_spec: how they are cut.
        kept: where segmenters are kept; None keeps nothing.
        settings: of the segmenters.
        seed: of the folds; segmenter k has `seed` + k.
        threads: of PyTorch.
        show: makes what shows a part of the work.

    Returns:
        What was found, the segmenters, and for each sample the number of the one that has not seen it.

    Raises:
        ValueError: there are too few parts with a defect.
        DataError: an image does not open.
        WeightsError: ImageNet weights cannot be had.
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
    images = ImageSet("--keep-like", every, crop_spec)
    finders, rows = [], []
    for number in range(FOLDS):
        others = images.part([i for i, fold in enumerate(numbers) if fold != number])
        title = f"segmenter of real defects, {number + 1} of {FOLDS}"
        with show(settings.steps, title, "step") as bar:
            finder = load_or_train(
                others, kept, settings=settings, seed=seed + number, threads=threads, on_progress=bar.update
            )
        finders.append(finder)
        unseen = images.part([i for i, fold in enumerate(numbers) if fold == number])
        labels = unseen.masks()
        for sample, label, iou in zip(unseen.samples, labels, overlaps(finder.predict(unseen), labels), strict=True):
            if label.any():
                rows.append((sample.label.casefold(), float(label.sum()), float(iou), number))
    kinds, areas, found, told = zip(*rows, strict=True)
    return Difficulty(*map(np.asarray, (kinds, areas, found, told))), tuple(finders), numbers
