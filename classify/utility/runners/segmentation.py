"""Squares of photographs with their masks, as the segmenter of `metrics` takes them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.utility.design.bench import Bench
from classify.utility.design.settings import Settings
from classify.utility.design.trials import PASTED, Arm, Cell, cells_of
from classify.utility.design.units import Square, views_learnt
from classify.utility.design.views import Image, views_of
from classify.utility.runners.pasting import pasted_images
from defects.images.crops import CropSpec, read_crop
from defects.masks.width import Mask
from defects.sample import GOOD, Sample
from engine.errors import DataError
from metrics.data.image_set import ImageSet
from metrics.labels.network import SegmenterSettings
from metrics.labels.segmenter import train_segmenter


class SquareSet(ImageSet):
    """Images and masks that are cut already.

    Args:
        name: Of the set.
        samples: What each square (N) is scored as: its photograph, or itself.
        squares: Image (S, S, C) and mask (S, S) of each.
        crop_spec: Side and channels.
        view_labels: (N,) 1, 0 or `UNCLEAR`, where they are known.
        owners: (N,) index of the photograph of each.
    """

    def __init__(
        self,
        name: str,
        samples: Sequence[Sample],
        squares: Sequence[tuple[Image, Mask]],
        crop_spec: CropSpec,
        *,
        view_labels: Sequence[int] = (),
        owners: Sequence[int] = (),
    ) -> None:
        super().__init__(name, samples, crop_spec)
        self.squares = list(squares)
        self.view_labels: NDArray[np.int64] = np.asarray(view_labels, np.int64)
        self.owners: NDArray[np.int64] = np.asarray(owners, np.int64)

    def read(self, index: int) -> tuple[Image, Mask]:
        """The image and the mask of one square; not to be written to."""
        return self.squares[index]


def squares_of(
    name: str, samples: Sequence[Sample], settings: Settings, only: Sequence[Square] | None = None
) -> SquareSet:
    """The squares that cover photographs: all, or those of `only`, each for itself.

    Raises:
        DataError: An image or a mask does not open.
    """
    shown: list[Sample] = []
    squares: list[tuple[Image, Mask]] = []
    labels: list[int] = []
    owners: list[int] = []
    items = {(square.owner, square.place): square.item for square in only or ()}
    cut = {"size": settings.size, "channels": settings.channels, "least": settings.least}
    for index, sample in enumerate(samples):
        for place, view in enumerate(views_of(sample, window=settings.window, **cut)):
            item = sample if only is None else items.get((index, place))
            if item is not None:
                shown.append(item)
                squares.append((view.image, view.mask))
                labels.append(view.label)
                owners.append(index)
    crop_spec = CropSpec(settings.size, None, settings.channels)
    return SquareSet(name, shown, squares, crop_spec, view_labels=labels, owners=owners)


def overlaps(found: NDArray[np.bool_], images: SquareSet) -> dict[str, list[float]]:
    """IoU and Dice of what is scored, over the pixels of its squares; for what is good, the share found in it.

    Args:
        found: (N, S, S) of the squares.
        images: Them.
    """
    both: dict[str, int] = {}
    either: dict[str, int] = {}
    pixels: dict[str, int] = {}
    order: dict[str, Sample] = {}
    for index, sample in enumerate(images.samples):
        mask = images.read(index)[1]
        order[sample.name] = sample
        both[sample.name] = both.get(sample.name, 0) + int((found[index] & mask).sum())
        either[sample.name] = either.get(sample.name, 0) + int((found[index] | mask).sum())
        pixels[sample.name] = pixels.get(sample.name, 0) + mask.size
    iou, dice, spilt = [], [], []
    for name, sample in order.items():
        union, common = either[name], both[name]
        iou.append(common / union if union else 1.0)
        dice.append(2 * common / (union + common) if union else 1.0)
        spilt.append(union / pixels[name] if sample.label == GOOD else 0.0)
    return {"iou": iou, "dice": dice, "spilt": spilt}


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
        self._crop_spec = CropSpec(settings.size, None, settings.channels)

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
        images = SquareSet(cell.arm.name, samples, squares, self._crop_spec)
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
            for image in pasted_images(self.bench, chosen, self.bench.background_stats, cell.seed, count):
                yield image.image, image.mask
            return
        made, at = self.bench.taken(name, cell, chosen, count)
        for index in at:
            yield read_crop(made.samples[index], self._crop_spec)


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
