"""Which real images are tested, validated and trained on, and the views they are cut into.

A view is a crop of those that cover an image. No label decides where the crops lie: one centered on the defect would
give away that there is one. An image's score is the highest of its crops. Where nearly every image is defective, a
score that ranks images says nothing; their crops are good and defective ones, and each is scored for itself. All crops
of a specimen are in one split.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from classify.utility.design.sources import SyntheticSet, reject_test_images
from classify.utility.design.trials import AUTO, CROPS, IMAGES, Settings
from defects.images.crops import Box
from defects.images.decode import as_channels, read_image, read_sample
from defects.masks.width import Mask, resize_mask
from defects.sample import GOOD, Sample
from defects.splits import split
from engine.errors import DataError
from engine.seeding import numpy_generator

_LEAST_GROUPS = 2
_ONE_CLASS = "E-utility-one-class"
UNCLEAR = -1
Image = NDArray[np.uint8]
GOOD_NEEDED = 10
"""Good images that training, validation and test each need for images to be the evaluation unit."""


@dataclass(frozen=True)
class Division:
    """The real images, no group of which is in two of these.

    Attributes:
        train: For training.
        val: For hyperparameters, thresholds and ratios.
        test: Scored once, by every trial.
        notes: What the reader has to know of the division, a sentence each.
    """

    train: list[Sample]
    val: list[Sample]
    test: list[Sample]
    notes: list[str] = field(default_factory=list)


def divide(
    real: Sequence[Sample], hashes: Mapping[str, str], synthetic: Sequence[SyntheticSet], settings: Settings
) -> Division:
    """Divides the images by groups; the generators' own held-out images are the test where they are known.

    Args:
        real: All of them.
        hashes: SHA-256 of each image file by name.
        synthetic: The synthetic sets.
        settings: Fractions and seed.

    Raises:
        DataError: A set shares a test image.
    """
    notes: list[str] = []
    allowed = _testable(real, hashes, synthetic)
    if allowed is None:
        fractions = {"train": 1 - settings.test_fraction, "test": settings.test_fraction}
        divided = split(real, fractions, settings.split_seed)
        test, rest = divided["test"], divided["train"]
        if synthetic:
            notes.append(
                "no synthetic set lists the training images of its generator (generator.json): "
                "whether the test images are new to it cannot be checked"
            )
    else:
        test = [sample for sample in real if sample.name in allowed]
        groups = {sample.part for sample in test}
        rest = [sample for sample in real if sample.part not in groups]
        left = len(real) - len(test) - len(rest)
        if left:
            notes.append(f"{left} real images are of the same group as a test image and are left out")
    for each in synthetic:
        reject_test_images(each, test, hashes)
    fractions = {"train": 1 - settings.val_fraction, "val": settings.val_fraction}
    divided = split(rest, fractions, settings.split_seed)
    train, val = divided["train"], divided["val"]
    known = [each.name for each in synthetic if any(hashes[sample.name] in each.trained_on for sample in val)]
    if known:
        notes.append(
            f"validation images are training images of the generator of {', '.join(known)}: what validation selects "
            "may lean towards it; the test images are new to it"
        )
    return Division(train, val, test, notes)


def with_good(division: Division, settings: Settings) -> Division:
    """The same with the requested number of good training images.

    Raises:
        DataError: There are fewer.
    """
    if settings.good is None:
        return division
    good = [sample for sample in division.train if sample.label == GOOD]
    count = good_limit(settings.good, len(good), "images")
    retained = set(numpy_generator(settings.split_seed, "utility", "good").permutation(len(good))[:count])
    names = {sample.name for index, sample in enumerate(good) if index in retained}
    train = [sample for sample in division.train if sample.label != GOOD or sample.name in names]
    return replace(division, train=train)


def good_limit(requested: int, available: int, what: str) -> int:
    """The requested number.

    Raises:
        DataError: There are fewer.
    """
    if requested > available:
        raise DataError(
            f"--good {requested}: there are {available} good training {what}; lower it", code="E-utility-good"
        )
    return requested


def reject_too_few(division: Division, unit: str) -> None:
    """Rejects a division of which a split cannot be scored or trained on.

    Args:
        division: Of what is scored.
        unit: The evaluation unit.

    Raises:
        DataError: A split has fewer than two groups with a defect, or without.
    """
    more = "or synthetic sets whose generators held out more"
    way = f"--eval-on {CROPS}" if unit == IMAGES else "another --crop"
    for name, samples in (("test", division.test), ("validation", division.val), ("training", division.train)):
        groups = Counter(defective for _, defective in {(sample.part, sample.label != GOOD) for sample in samples})
        if groups[True] < _LEAST_GROUPS or groups[False] < _LEAST_GROUPS:
            raise DataError(
                f"{name} {unit}s: {groups[True]} groups show a defective one and {groups[False]} a good one, fewer "
                f"than {_LEAST_GROUPS} of each; give more real images, {way}, {more}",
                code="E-utility-too-few",
            )


def _testable(real: Sequence[Sample], hashes: Mapping[str, str], synthetic: Sequence[SyntheticSet]) -> set[str] | None:
    """Names of the real images that no generator was trained on, nor any of their group; None where none is known."""
    known = [each for each in synthetic if each.trained_on]
    if not known:
        return None
    allowed = {sample.name for sample in real}
    for each in known:
        assert each.provenance is not None
        trained = each.trained_on
        groups = {sample.part for sample in real if hashes[sample.name] in trained}
        named = set(each.provenance.test) & {sample.name for sample in real}
        if not named:
            named = {sample.name for sample in real if hashes[sample.name] not in trained}
        if not groups:
            raise DataError(
                f"{each.root}: its generator was trained on none of the real images; "
                "give the folder it was trained on as REAL",
                code="E-utility-other-images",
            )
        leaked = sorted(sample.name for sample in real if sample.name in named and hashes[sample.name] in trained)
        if leaked:
            raise DataError(
                f"{each.root}: its generator.json names {len(leaked)} test images that it was trained on, such as "
                f"{leaked[0]}; train it again without them",
                code="E-utility-test-leak",
            )
        allowed &= {sample.name for sample in real if sample.name in named and sample.part not in groups}
    return allowed


def reject_one_class(root: Path, real: Sequence[Sample], unit: str) -> None:
    """Rejects images of one class; the crops of defective ones are of two.

    Raises:
        DataError: They are of one class, or no mask labels their crops.
    """
    defective = [sample for sample in real if sample.label != GOOD]
    blind = sum(not sample.has_pixels for sample in defective)
    if not defective:
        raise DataError(f"{root}: all {len(real)} images are good; give both good and defective ones", code=_ONE_CLASS)
    if blind and unit == CROPS:
        raise DataError(
            f"{root}: {blind} defective images have no mask that labels their crops; give masks, or --eval-on {IMAGES}",
            code="E-utility-no-masks",
        )
    if len(defective) == len(real) and (unit == IMAGES or blind):
        more = f"; give masks with them (--eval-on {CROPS})" if blind else f", or --eval-on {CROPS}"
        raise DataError(
            f"{root}: all {len(real)} images are defective; give both good and defective ones{more}", code=_ONE_CLASS
        )


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


def _resized(image: Image, mask: Mask, size: int) -> tuple[Image, Mask]:
    side = mask.shape[0]
    if side == size:
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)
    how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    small = np.atleast_3d(cv2.resize(np.ascontiguousarray(image), (size, size), interpolation=how))
    return small.astype(np.uint8, copy=False), resize_mask(np.ascontiguousarray(mask), (size, size))


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
