"""How hard real defects are to find, so that synthetic ones can be made as hard: neither easier nor harder.

A filter that keeps what is found well leaves easy defects over, and a classifier has little to learn from those. Real
ones are found well, badly or not at all. So every image aims at what a segmenter finds of one real defect, drawn at
random, of the same kind and a like size. The segmenter must not have learnt from that defect: there are several, each
of which has seen all parts but its own share (cross-fitting), and all of them judge a synthetic image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defects.sample import Sample
from defects.splits import near_duplicate_groups, split
from defects.windows import Framing
from engine.progress import Progress
from metrics.image_set import ImageSet
from metrics.label_fidelity import overlaps
from metrics.segmenter import Segmenter, SegmenterSettings, load_or_train

FOLDS = 3
SIZE = 0.7
"""Difference of two areas, in logarithms, that counts as one."""
UNLIKE = 0.02
"""A defect of less weight, the one of the likest size having 1, is not drawn."""
ANY = 5
"""A kind with fewer defects draws from those of all kinds."""


@dataclass(frozen=True)
class Difficulty:
    """Real defects, each with what a segmenter found of it that has not learnt from its part.

    Attributes:
        kinds: (N,) folded names.
        areas: (N,) px of the label in its window.
        overlaps: (N,) IoU of label and what was found.
    """

    kinds: NDArray[np.str_]
    areas: NDArray[np.float64]
    overlaps: NDArray[np.float64]

    def target(self, kind: str, area: int, share: float) -> float:
        """The IoU of a defect of a kind and a like area; `share`, 0..1, tells which.

        >>> two = Difficulty(np.array(["pit"] * 6), np.array([9.0] * 3 + [900.0] * 3), np.array([0.0] * 3 + [0.8] * 3))
        >>> two.target("pit", 10, 0.9), two.target("pit", 1000, 0.1)
        (0.0, 0.8)
        """
        own = np.flatnonzero(self.kinds == kind.casefold())
        usable = own if own.size >= ANY else np.arange(self.kinds.size)
        off = (np.log(self.areas[usable] / max(area, 1)) / SIZE) ** 2
        weights = np.exp(-0.5 * (off - off.min()))
        weights[weights < UNLIKE] = 0
        sums = np.cumsum(weights)
        pick = min(int(np.searchsorted(sums, share * sums[-1], side="right")), usable.size - 1)
        return float(self.overlaps[usable[pick]])

    @property
    def digest(self) -> str:
        """Names what was measured."""
        content = hashlib.sha256("\n".join(self.kinds.tolist()).encode())
        content.update(self.areas.tobytes() + self.overlaps.tobytes())
        return content.hexdigest()


def measure_difficulty(
    samples: Sequence[Sample],
    framing: Framing,
    kept: Path | None,
    *,
    settings: SegmenterSettings,
    seed: int,
    threads: int | None,
    show: Callable[[int, str, str], AbstractContextManager[Progress]],
) -> tuple[Difficulty, tuple[Segmenter, ...]]:
    """Trains `FOLDS` segmenters, or takes them from where they were kept.

    Args:
        samples: real images, good ones among them.
        framing: how they are cut.
        kept: where segmenters are kept; None keeps nothing.
        settings: of the segmenters.
        seed: of the folds; segmenter k has `seed` + k.
        threads: of PyTorch.
        show: makes what shows a part of the work.

    Raises:
        ValueError: there are too few parts with a defect.
        DataError: an image does not open.
        WeightsError: ImageNet weights cannot be had.
    """
    every = list(samples)
    if not any(sample.group for sample in every):
        every = [
            replace(sample, group=group) for sample, group in zip(every, near_duplicate_groups(every), strict=True)
        ]
    folds = split(every, {str(fold): 1 / FOLDS for fold in range(FOLDS)}, seed)
    finders = []
    kinds: list[str] = []
    areas: list[float] = []
    found: list[float] = []
    for number, own in enumerate(folds.values()):
        mine = {sample.name for sample in own}
        others = ImageSet("--keep-like", [sample for sample in every if sample.name not in mine], framing)
        with show(settings.steps, f"segmenter of real defects, {number + 1} of {FOLDS}", "step") as bar:
            finders.append(
                load_or_train(
                    others, kept, settings=settings, seed=seed + number, threads=threads, on_progress=bar.update
                )
            )
        unseen = ImageSet("--keep-like", own, framing)
        labels = unseen.masks() if own else np.zeros((0, framing.size, framing.size), np.bool_)
        marked = np.flatnonzero(labels.any(axis=(1, 2)))
        if not marked.size:
            continue
        values = overlaps(finders[-1].predict(unseen.part([int(i) for i in marked])), labels[marked])
        kinds += [own[i].label.casefold() for i in marked]
        areas += [float(labels[i].sum()) for i in marked]
        found += values.tolist()
    if not found:
        raise ValueError(f"expected defects of at least {FOLDS} parts, got none that its segmenter has not seen")
    return Difficulty(np.asarray(kinds), np.asarray(areas), np.asarray(found)), tuple(finders)
