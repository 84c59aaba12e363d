"""Crops as the evaluation unit: those that are trained with, validated and tested, each under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from classify.utility.design.division import UNCLEAR, Division, covering, good_limit, label_of
from classify.utility.design.trials import Settings
from defects.images.crops import Box
from defects.images.decode import image_info, read_mask
from defects.sample import GOOD, Sample
from engine.seeding import numpy_generator

GOOD_CROPS = 1000
"""Good crops trained with unless another number is requested; more cost time and change little."""


@dataclass(frozen=True)
class CropUnit:
    """A clear crop of an image.

    Attributes:
        owner: Index of the image in its split.
        place: Index among the crops that cover the image.
        item: What is scored: its own name and label, the image's group; `metadata["square"]` is its box.
    """

    owner: int
    place: int
    item: Sample

    @property
    def good(self) -> bool:
        """Whether no defect is in it."""
        return self.item.label == GOOD


@dataclass(frozen=True)
class CropUnits:
    """The crops of a division, image by image.

    Attributes:
        train: Every defective one, and the good ones that are trained with.
        val: Every clear one.
        test: Every clear one.
        good: Number of good crops of the training images before a subset was selected.
    """

    train: list[CropUnit]
    val: list[CropUnit]
    test: list[CropUnit]
    good: int

    @property
    def backgrounds(self) -> list[Sample]:
        """The good crops trained with."""
        return [unit.item for unit in self.train if unit.good]

    @property
    def items(self) -> Division:
        """What is trained with and scored."""
        train, val, test = ([unit.item for unit in split] for split in (self.train, self.val, self.test))
        return Division(train, val, test)


def labeled_boxes(sample: Sample, *, crop: int | None, least: int) -> list[tuple[Box, int]]:
    """The same crops and labels as of `views_of`; of the image its header alone is read.

    Raises:
        DataError: The image or its mask does not open.
    """
    info = image_info(sample.image)
    boxes = covering(info.upright[0], info.upright[1], crop)
    mask = read_mask(sample, info) if sample.label != GOOD and sample.has_pixels else None
    counts = [0 if mask is None else int(mask[y : y + h, x : x + w].sum()) for x, y, w, h in boxes]
    most = max(counts)
    return [(box, label_of(sample, count, most, least)) for box, count in zip(boxes, counts, strict=True)]


def crop_units(division: Division, hashes: Mapping[str, str], settings: Settings) -> tuple[CropUnits, Settings]:
    """The crops of a division, and the settings with the number of good ones trained with.

    The good crops trained with depend on the seed of the split; a larger number holds the smaller one.

    Args:
        division: Images, with masks where they are defective.
        hashes: SHA-256 of each image file by name.
        settings: Crop, least defect, and the requested number of good crops.

    Raises:
        DataError: A mask does not open, or more good crops are requested than there are.
    """
    train, val, test = (
        [
            CropUnit(owner, place, _item(sample, box, label, hashes[sample.name]))
            for owner, sample in enumerate(samples)
            for place, (box, label) in enumerate(labeled_boxes(sample, crop=settings.crop, least=settings.least))
            if label != UNCLEAR
        ]
        for samples in (division.train, division.val, division.test)
    )
    good = [index for index, unit in enumerate(train) if unit.good]
    count = min(GOOD_CROPS, len(good)) if settings.good is None else good_limit(settings.good, len(good), "crops")
    stream = " ".join(("good", "squares"))  # of the random numbers; another name would select other crops
    order = numpy_generator(settings.split_seed, "utility", stream).permutation(len(good))
    retained = {good[index] for index in order[:count]}
    train = [unit for index, unit in enumerate(train) if index in retained or not unit.good]
    return CropUnits(train, val, test, len(good)), replace(settings, good=count)


def crop_notes(units: CropUnits, why: str, *, shared: bool) -> list[str]:
    """What the reader has to know of crops as the evaluation unit, a sentence each.

    Args:
        units: The crops.
        why: The reason for crops.
        shared: Whether the seeds of the split with all images share their pasted images.
    """
    count = len(units.backgrounds)
    notes = [f"crops, each for itself, are trained on and scored, not images: {why}"]
    if count < units.good:
        notes.append(
            f"{count:,} of the {units.good:,} good training crops are trained with, selected at random (--good)"
        )
    if shared:
        notes.append("at all defective images every seed draws from the same pasted images, as from a folder")
    return notes


def _item(sample: Sample, box: Box, label: int, digest: str) -> Sample:
    return Sample(
        f"{sample.name}@{box[0]},{box[1]}",
        sample.image,
        label=sample.label if label else GOOD,
        group=sample.group or sample.name,
        source=sample.source,
        metadata={"square": box, "sha256": digest},
        depth16=sample.depth16,
    )
