"""The second task: does training on synthetic labels give better masks of real defects?

The segmenter varies every image it is trained on (flips, shifts, light), so that all arms have classical augmentation;
they differ in the images only. The primary score is the mean IoU over the defective photographs or squares of the test.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from classify.utility.arms import PASTED, Arm
from classify.utility.bench import Bench
from classify.utility.cells import Cell, cells_of
from classify.utility.masks import SquareSet, overlaps, squares_of
from classify.utility.pasting import pasted_images
from classify.utility.units import views_learnt
from classify.utility.views import Image
from defects.masks import Mask
from defects.sample import GOOD, Sample
from defects.windows import Framing, read_window
from engine.errors import DataError
from metrics.segmenter import SegmenterSettings, train_segmenter

__all__ = ["IOU", "SegmentRunner", "segment_arms", "segment_cells"]

IOU = "iou"


def segment_arms(bench: Bench) -> list[Arm]:
    """Real alone, and with each source."""
    return [arm for arm in bench.arms if not arm.classical]


def segment_cells(bench: Bench) -> list[Cell]:
    """Cells of this task; ratios that a source cannot fill are left out as in the first.

    Raises:
        DataError: It is not known which pixels of the real images are defective.
    """
    blind = [sample.name for sample in bench.real if not sample.has_pixels]
    if blind:
        raise DataError(f"--task segment: {len(blind)} real images have no mask, such as {blind[0]}; give masks")
    kept = {cell for cell in bench.cells if not cell.arm.classical}
    shots = list(dict.fromkeys(cell.shots for cell in bench.cells))
    arms = segment_arms(bench)
    every = cells_of(arms, bench.request.ratios, shots, range(bench.request.seeds))
    return [cell for cell in every if cell in kept]


class SegmentRunner:
    """Computes cells.

    Args:
        bench: What is compared.
        steps: Optimiser steps of every arm.
        threads: Of PyTorch.
    """

    def __init__(self, bench: Bench, *, steps: int, threads: int | None = None) -> None:
        self.bench, self._steps, self._threads = bench, steps, threads
        division, settings = bench.division, bench.settings
        self._train = squares_of("train", division.train, settings, bench.only("train"))
        self._val = squares_of("val", division.val, settings, bench.only("val"))
        self._test = squares_of("test", division.test, settings, bench.only("test"))
        self._framing = Framing(settings.size, None, settings.channels)

    def run(self, cell: Cell) -> dict[str, Any]:
        """Trains and tests; returns the cell's results line without its name.

        Raises:
            WeightsError: The encoder's weights cannot be had.
        """
        began = time.monotonic()
        bench, train = self.bench, self._train
        chosen = bench.chosen(cell.at)
        learnt = views_learnt(bench.division.train, chosen, train.view_labels, train.owners, bench.settings.unit)
        at = np.flatnonzero(learnt)
        samples = [self._train.samples[index] for index in at]
        squares = [self._train.squares[index] for index in at]
        counts = bench.counts(chosen)
        for name in cell.arm.made:
            count = round(cell.ratio * len(chosen) / len(cell.arm.made))
            made = list(self._made(name, cell, chosen, count))
            squares += made
            samples += [chosen[0]] * len(made)
            counts[name] = len(made)
        images = SquareSet(cell.arm.name, samples, squares, self._framing)
        settings = SegmenterSettings(steps=self._steps)
        segmenter = train_segmenter(images, settings=settings, seed=cell.seed, threads=self._threads)
        test = overlaps(segmenter.predict(self._test), self._test)
        return {
            **cell.to_dict(),
            "val": _means(overlaps(segmenter.predict(self._val), self._val), self.bench.scored.val),
            "test": _means(test, self.bench.scored.test),
            "images": counts,
            "scores": [round(value, 6) for value in test[IOU]],
            "seconds": round(time.monotonic() - began, 3),
        }

    def _made(self, name: str, cell: Cell, chosen: list[Sample], count: int) -> Iterator[tuple[Image, Mask]]:
        """Image and mask of the images of a source that the cell takes."""
        if name == PASTED and self.bench.pasted is None:
            for image in pasted_images(self.bench, chosen, self.bench.grounds, cell.seed, count):
                yield image.image, image.mask
            return
        made, at = self.bench.taken(name, cell, chosen, count)
        for index in at:
            yield read_window(made.samples[index], self._framing)


def _means(values: dict[str, list[float]], samples: list[Sample]) -> dict[str, float]:
    """Means over what is defective; what is found in what is good, and the share of those with anything found."""
    defective = np.asarray([sample.label != GOOD for sample in samples])
    spilt = np.asarray(values["spilt"])[~defective]
    return {
        IOU: round(float(np.asarray(values["iou"])[defective].mean()), 6),
        "dice": round(float(np.asarray(values["dice"])[defective].mean()), 6),
        "found_in_good": round(float(spilt.mean()), 6),
        "good_with_any": round(float((spilt > 0).mean()), 6),
    }
