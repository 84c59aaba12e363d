"""Evaluation units: what is trained on, validated and tested is whole images, or the crops that cover them.

No label decides where the crops lie: a crop centered on the defect would give away that there is one. An image's score
is the highest of its crops. Where nearly every image is defective, a score that ranks images says nothing; their crops
are good and defective ones, and each is scored for itself. All crops of a specimen are in one split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from classify.utility.design.division import Division, good_limit
from classify.utility.design.trials import AUTO, CROPS, IMAGES, Settings
from defects.attributes.guide import as_channels
from defects.images.crops import Box
from defects.images.decode import image_info, read_image, read_mask, read_sample
from defects.masks.width import Mask, resize_mask
from defects.sample import GOOD, Sample
from engine.seeding import numpy_generator

UNCLEAR = -1

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """One crop of an image.

    Attributes:
        box: In the image.
        image: (S, S, C).
        mask: (S, S).
        label: 1 defective, 0 good, `UNCLEAR` for one with so few defective px that nothing is trained on it.
    """

    box: Box
    image: Image
    mask: Mask
    label: int


def covering(height: int, width: int, crop: int | None) -> list[Box]:
    """Crops of the shorter side, or of `crop` px, spread evenly so that they cover an image.

    >>> covering(100, 250, None)
    [(0, 0, 100, 100), (75, 0, 100, 100), (150, 0, 100, 100)]
    """
    side = min(crop or height, height, width)

    def starts(length: int) -> list[int]:
        count = math.ceil(length / side)
        return [round(place * (length - side) / max(1, count - 1)) for place in range(count)]

    return [(x, y, side, side) for y in starts(height) for x in starts(width)]


def views_of(sample: Sample, *, size: int, channels: int, crop: int | None = None, least: int = 1) -> list[View]:
    """The crops of an image.

    Without a mask all crops of a defective image are defective.

    Args:
        sample: The image.
        size: S, px.
        channels: C.
        crop: Side of the crops in the image, px; None for its shorter side.
        least: Defective px of the image from which on a crop is defective.

    Raises:
        DataError: The image or its mask does not open.
    """
    if sample.has_pixels:
        image, mask = read_sample(sample)
    else:
        image = read_image(sample.image, depth16=sample.depth16)
        mask = np.zeros(image.shape[:2], np.bool_)
    image = as_channels(image, channels)
    boxes = covering(mask.shape[0], mask.shape[1], crop)
    counts = [int(mask[y : y + side, x : x + side].sum()) for x, y, side, _ in boxes]
    most = max(counts)
    views = []
    for (x, y, side, other), count in zip(boxes, counts, strict=True):
        label = label_of(sample, count, most, least)
        cut = slice(y, y + side), slice(x, x + side)
        views.append(View((x, y, side, other), *_resized(image[cut], mask[cut], size), label))
    return views


def label_of(sample: Sample, count: int, most: int, least: int) -> int:
    """Label of a crop with `count` defective px, in an image whose crops have up to `most`."""
    if sample.label == GOOD or (not count and sample.has_pixels):
        return 0
    if not sample.has_pixels or count >= min(least, most):
        return 1
    return UNCLEAR


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


def _resized(image: Image, mask: Mask, size: int) -> tuple[Image, Mask]:
    side = mask.shape[0]
    if side == size:
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)
    how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    small = np.atleast_3d(cv2.resize(np.ascontiguousarray(image), (size, size), interpolation=how))
    return small.astype(np.uint8, copy=False), resize_mask(np.ascontiguousarray(mask), (size, size))


GOOD_NEEDED = 10
"""Good images that training, validation and test each need for images to be the evaluation unit."""

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


def select_unit(requested: str, division: Division) -> tuple[str, str]:
    """The evaluation unit, and the reason for it.

    Args:
        requested: `image`, `crop`, or `auto` to score crops where good images are too few.
        division: Of the images.
    """
    if requested != AUTO:
        return requested, "as requested"
    splits = {"training": division.train, "validation": division.val, "test": division.test}
    counts = {name: sum(sample.label == GOOD for sample in samples) for name, samples in splits.items()}
    fewest = min(counts, key=lambda name: counts[name])
    reason = f"{counts[fewest]} of the {len(splits[fewest])} {fewest} images are good"
    if counts[fewest] >= GOOD_NEEDED:
        return IMAGES, f"{reason}, enough to rank images"
    blind = sum(not sample.has_pixels for samples in splits.values() for sample in samples)
    if blind:
        return IMAGES, f"{reason}, but {blind} defective ones have no mask that labels their crops"
    return CROPS, f"{reason}, fewer than the {GOOD_NEEDED} that a ranking of images needs"


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


def crop_notes(units: CropUnits | None, why: str, *, shared: bool) -> list[str]:
    """What the reader has to know of crops as the evaluation unit, a sentence each.

    Args:
        units: None where images are the evaluation unit.
        why: The reason for crops.
        shared: Whether the seeds of the split with all images share their pasted images.
    """
    if units is None:
        return []
    count = len(units.backgrounds)
    notes = [f"crops, each for itself, are trained on and scored, not images: {why}"]
    if count < units.good:
        notes.append(
            f"{count:,} of the {units.good:,} good training crops are trained with, selected at random (--good)"
        )
    if shared:
        notes.append("at all defective images every seed draws from the same pasted images, as from a folder")
    return notes


def training_views(
    images: Sequence[Sample],
    subset: Sequence[Sample],
    labels: NDArray[np.int64],
    owners: NDArray[np.int64],
    unit: str,
) -> NDArray[np.bool_]:
    """Which views (N,) of the training images a few-shot split trains on.

    All of its defective images and of the good ones; where crops are the unit, the defective crops of its defective
    images, and the good crops of all.

    Args:
        images: Of the training split.
        subset: The defective ones of the few-shot split.
        labels: (N,) of the views.
        owners: (N,) index of the image of each.
        unit: `image` or `crop`.
    """
    names = {sample.name for sample in subset}
    own = np.asarray([sample.name in names for sample in images], np.bool_)
    if unit == CROPS:
        return np.asarray((labels == 0) | own[owners])
    return np.asarray((own | [sample.label == GOOD for sample in images])[owners])


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
