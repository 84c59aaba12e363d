"""Trials of the segmentation task: crops of images with their masks, as the segmenter of `metrics` takes them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.utility.design.bench import Bench
from classify.utility.design.crop_units import CropUnit
from classify.utility.design.division import Image, views_of
from classify.utility.design.sources import training_views
from classify.utility.design.trials import PASTED, Settings, Trial
from defects.images.crops import CropSpec, read_crop
from defects.masks.width import Mask
from defects.sample import GOOD, Sample
from engine.errors import DataError
from metrics.data.image_set import ImageSet
from metrics.labels.network import SegmenterSettings
from metrics.labels.segmenter import train_segmenter


class CropSet(ImageSet):
    """Images and masks that are cropped already.

    Args:
        name: Of the set.
        samples: What each crop (N) is scored as: its image, or itself.
        crops: Image (S, S, C) and mask (S, S) of each.
        crop_spec: Side and channels.
        view_labels: (N,) 1, 0 or `UNCLEAR`, where they are known.
        owners: (N,) index of the image of each.
    """

    def __init__(
        self,
        name: str,
        samples: Sequence[Sample],
        crops: Sequence[tuple[Image, Mask]],
        crop_spec: CropSpec,
        *,
        view_labels: Sequence[int] = (),
        owners: Sequence[int] = (),
    ) -> None:
        super().__init__(name, samples, crop_spec)
        self.crops = list(crops)
        self.view_labels: NDArray[np.int64] = np.asarray(view_labels, np.int64)
        self.owners: NDArray[np.int64] = np.asarray(owners, np.int64)

    def read(self, index: int) -> tuple[Image, Mask]:
        """The image and the mask of one crop; read-only."""
        return self.crops[index]


def crop_set(
    name: str, samples: Sequence[Sample], settings: Settings, only: Sequence[CropUnit] | None = None
) -> CropSet:
    """The crops that cover images: all, or those of `only`, each for itself.

    Raises:
        DataError: An image or a mask does not open.
    """
    scored: list[Sample] = []
    crops: list[tuple[Image, Mask]] = []
    labels: list[int] = []
    owners: list[int] = []
    items = {(unit.owner, unit.place): unit.item for unit in only or ()}
    s = settings
    for index, sample in enumerate(samples):
        views = views_of(sample, size=s.size, channels=s.channels, crop=s.crop, least=s.least)
        for place, view in enumerate(views):
            item = sample if only is None else items.get((index, place))
            if item is not None:
                scored.append(item)
                crops.append((view.image, view.mask))
                labels.append(view.label)
                owners.append(index)
    crop_spec = CropSpec(settings.size, None, settings.channels)
    return CropSet(name, scored, crops, crop_spec, view_labels=labels, owners=owners)


def overlaps(predicted: NDArray[np.bool_], images: CropSet) -> dict[str, list[float]]:
    """IoU and Dice of each image over the pixels of its crops; for good ones the share that is predicted defective.

    Args:
        predicted: Masks (N, S, S) of the crops.
        images: The crops.
    """
    both: dict[str, int] = {}
    either: dict[str, int] = {}
    pixels: dict[str, int] = {}
    order: dict[str, Sample] = {}
    for index, sample in enumerate(images.samples):
        mask = images.read(index)[1]
        order[sample.name] = sample
        both[sample.name] = both.get(sample.name, 0) + int((predicted[index] & mask).sum())
        either[sample.name] = either.get(sample.name, 0) + int((predicted[index] | mask).sum())
        pixels[sample.name] = pixels.get(sample.name, 0) + mask.size
    iou, dice, spilt = [], [], []
    for name, sample in order.items():
        union, common = either[name], both[name]
        iou.append(common / union if union else 1.0)
        dice.append(2 * common / (union + common) if union else 1.0)
        spilt.append(union / pixels[name] if sample.label == GOOD else 0.0)
    return {"iou": iou, "dice": dice, "spilt": spilt}


def segment_trials(bench: Bench) -> list[Trial]:
    """Trials of this task: those of the classification task without classical augmentation.

    Raises:
        DataError: A real image has no mask.
    """
    blind = [sample.name for sample in bench.real if not sample.has_pixels]
    if blind:
        raise DataError(
            f"--task segment: {len(blind)} real images have no mask, such as {blind[0]}; give masks",
            code="E-utility-no-masks",
        )
    return [trial for trial in bench.trials if not trial.arm.classical]


class SegmentRunner:
    """Computes trials.

    Args:
        bench: What is compared.
        steps: Optimizer steps of every arm.
        threads: Of PyTorch.
    """

    def __init__(self, bench: Bench, *, steps: int, threads: int | None = None) -> None:
        self.bench, self._steps, self._threads = bench, steps, threads
        division, settings = bench.division, bench.settings
        self._train = crop_set("train", division.train, settings, bench.only("train"))
        self._val = crop_set("val", division.val, settings, bench.only("val"))
        self._test = crop_set("test", division.test, settings, bench.only("test"))
        self._crop_spec = CropSpec(settings.size, None, settings.channels)

    def run(self, trial: Trial) -> dict[str, Any]:
        """Trains and tests; returns the trial's results line without its name.

        Raises:
            WeightsError: The encoder's weights cannot be loaded.
        """
        began = time.monotonic()
        bench, train = self.bench, self._train
        subset = bench.subset(trial.split)
        views = training_views(bench.division.train, subset, train.view_labels, train.owners, bench.settings.eval_on)
        at = np.flatnonzero(views)
        samples = [train.samples[index] for index in at]
        crops = [train.crops[index] for index in at]
        counts = bench.counts(subset)
        for name in trial.arm.sources:
            more = list(self._source(name, trial, subset))
            crops += more
            samples += [subset[0]] * len(more)
            counts[name] = len(more)
        images = CropSet(trial.arm.name, samples, crops, self._crop_spec)
        settings = SegmenterSettings(steps=self._steps)
        segmenter = train_segmenter(images, settings=settings, seed=trial.seed, threads=self._threads)
        test = overlaps(segmenter.predict(self._test), self._test)
        return {
            **trial.to_dict(),
            "val": _means(overlaps(segmenter.predict(self._val), self._val), self.bench.scored.val),
            "test": _means(test, self.bench.scored.test),
            "images": counts,
            "scores": [round(value, 6) for value in test["iou"]],
            "seconds": round(time.monotonic() - began, 3),
        }

    def _source(self, name: str, trial: Trial, subset: list[Sample]) -> Iterator[tuple[Image, Mask]]:
        """Image and mask of the images of a source that the trial takes."""
        if name == PASTED and self.bench.pasted is None:
            for pasted in self.bench.paste(subset, trial.seed, trial.count(len(subset))):
                yield pasted.image, pasted.mask
            return
        folder, at = self.bench.draw_source(name, trial, subset)
        for index in at:
            yield read_crop(folder.samples[index], self._crop_spec)


def _means(values: dict[str, list[float]], samples: list[Sample]) -> dict[str, float]:
    """Means over the defective ones; of the good ones the share predicted defective, and how many have any."""
    defective = np.asarray([sample.label != GOOD for sample in samples])
    spilt = np.asarray(values["spilt"])[~defective]
    return {
        "iou": round(float(np.asarray(values["iou"])[defective].mean()), 6),
        "dice": round(float(np.asarray(values["dice"])[defective].mean()), 6),
        "found_in_good": round(float(spilt.mean()), 6),
        "good_with_any": round(float((spilt > 0).mean()), 6),
    }
