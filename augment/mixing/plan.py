"""The plan of a mixture: which image is in which split, how often it is sampled and how it is cropped."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augment.balancing.strata import StrataFill
from augment.mixing.holdout import NearDuplicates
from augment.mixing.request import SOURCES, Request
from augment.mixing.sources import Cropper, Dropped, Source, count_dropped
from augment.transforms.pipeline import Pipeline
from defects.formats.listing import SPLITS
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError
from engine.files.atomic import sha256_bytes, to_json
from engine.seeding import numpy_generator, seed_for


@dataclass(frozen=True)
class Item:
    """One image of the mixture.

    Attributes:
        name: Unique, its folder's name first, such as `real/MT_Crack/exp1_num_265613`.
        sample: The image.
        source: `real`, `synthetic` or `pasted`.
        split: `train`, `val` or `test`.
        sha256: Of its image file.
    """

    name: str
    sample: Sample
    source: str
    split: str
    sha256: str = ""

    @property
    def folder(self) -> str:
        """Name of the folder it is from."""
        return self.name.partition("/")[0]

    def variant(self, number: int) -> str:
        """Name of a variant: the item's own for 0, else that of an augmentation."""
        return f"{self.name}_aug{number}" if number else self.name

    def files(self, number: int) -> tuple[str, str]:
        """Image and mask of a variant, relative to the folder of the mixture."""
        name = self.variant(number)
        return f"{self.split}/images/{name}.png", f"{self.split}/masks/{name}.png"


@dataclass(frozen=True)
class Plan:
    """A mixture.

    Attributes:
        request: The settings.
        items: Images by split, real ones first, then by folder and name.
        cropper: Reads them.
        pipeline: Of the augmentations; None for none.
        weights: Share of each source in an epoch, summing to 1.
        dropped: What is left out, and why.
        fill: The strata before and after; None without balance.
        split_by: In words.
        near_duplicates: Of the leak check; None where it compares checksums only.
        warnings: For the user.
    """

    request: Request
    items: dict[str, list[Item]]
    cropper: Cropper
    pipeline: Pipeline | None
    weights: dict[str, float]
    dropped: list[Dropped] = field(default_factory=list)
    fill: StrataFill | None = None
    split_by: str = ""
    near_duplicates: NearDuplicates | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def variants(self) -> int:
        """Of every training image: the image itself and its augmentations."""
        return 1 + self.request.augmentations_each

    @property
    def classes(self) -> list[str]:
        """`good` first, then by name; the index of a class is its position here."""
        labels = {item.sample.label for items in self.items.values() for item in items}
        return sorted(labels, key=lambda name: (name != GOOD, name))

    def entries(self) -> Iterator[tuple[Item, int]]:
        """Every image that is written, with the number of its variant: 0 for itself, 1 and up for augmentations."""
        for split in SPLITS:
            for item in self.items[split]:
                for variant in range(self.variants if split == "train" else 1):
                    yield item, variant

    def __len__(self) -> int:
        return sum(len(items) * (self.variants if split == "train" else 1) for split, items in self.items.items())

    @property
    def members(self) -> dict[str, list[int]]:
        """Numbers of the training images of each source."""
        numbers: dict[str, list[int]] = {name: [] for name in SOURCES}
        for number, item in enumerate(self.items["train"]):
            numbers[item.source].append(number)
        return {name: members for name, members in numbers.items() if members}

    @property
    def sampling(self) -> EpochSampling:
        """The training images of each epoch."""
        length = self.request.epoch or len(self.items["train"]) * self.variants
        return EpochSampling(self.members, self.weights, length, self.variants, self.request.seed)

    def weight(self, item: Item) -> float:
        """Mean number of draws of each variant in an epoch of as many draws as there are training images."""
        if item.split != "train":
            return 1.0
        share, number = self.weights.get(item.source, 0.0), len(self.members[item.source])
        return share * len(self.items["train"]) / number

    def describe(self) -> dict[str, Any]:
        """Everything that decides the bytes, as JSON; a folder begun with another description is not resumed."""
        crop_spec, pipeline = self.cropper.crop_spec, None
        if self.pipeline is not None:
            stored = {"min_defect_share": "min_defect_kept"}
            config = self.pipeline.config.model_dump(mode="json", exclude={"feature_space"})
            pipeline = {stored.get(key, key): value for key, value in config.items()}
        inputs = [[f"{split}/{item.name}", item.sha256] for split in SPLITS for item in self.items[split]]
        return {
            **self.request.describe(),
            "framing": None
            if crop_spec is None
            else {"size": crop_spec.size, "window": crop_spec.crop, "channels": crop_spec.channels},
            "channels": self.cropper.channels,
            "pipeline": pipeline,
            "shares": self.weights,
            "kinds": self.classes,
            "images": len(self),
            "inputs": sha256_bytes(to_json(inputs)),
        }

    def summary(self) -> dict[str, Any]:
        """The content of the mixture, as JSON."""
        near = self.near_duplicates
        return {
            "images": len(self),
            "kinds": self.classes,
            "splits": {name: _counts(self.items[name]) for name in SPLITS},
            "versions": self.variants,
            "split_by": self.split_by,
            "exposure": {name: round(share, 6) for name, share in self.weights.items()},
            "draws_of_an_epoch": self.sampling.draws,
            "dropped": count_dropped(self.dropped),
            "likeness_of_a_copy": None if near is None else round(near.threshold, 4),
            "cells": None if self.fill is None else self.fill.to_dict(),
            "warnings": self.warnings,
        }


def _counts(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    """Number of images by source and class."""
    counts = Counter((item.source, item.sample.label) for item in items)
    rows = {
        source: {label: number for (name, label), number in sorted(counts.items()) if name == source}
        for source in SOURCES
    }
    return {source: row for source, row in rows.items() if row}


def check_sampling_weights(weights: Mapping[str, float], available: Mapping[str, int]) -> dict[str, float]:
    """The share of each source in an epoch; by the number of images where no weights are given.

    Raises:
        UsageError: A name is unknown or missing, a share is out of range, they do not sum to 1, or a source has a
            share and no image.
    """
    known = [name for name, count in available.items() if count]
    if not weights:
        return {name: available[name] / sum(available.values()) for name in known}
    problem = ""
    for name, share in weights.items():
        if not 0 <= share <= 1:
            problem = problem or f"{name}={share:g} is no share; give a number from 0 to 1"
        elif share > 0 and not available.get(name):
            problem = problem or f"there is no {name} image to train on; there are {', '.join(known)}"
    missing = [name for name in known if name not in weights]
    if not problem and missing:
        problem = f"{missing[0]} is not named; give {missing[0]}=0 to leave it out, or its share"
    if not problem and abs(sum(weights.values()) - 1) > 1e-6:
        problem = f"the shares sum to {sum(weights.values()):g}; make them sum to 1"
    if problem:
        raise UsageError(f"--sampling-weights: {problem}", code="E-mix-bad-weights")
    return dict(weights)


def whole_draws(weights: Mapping[str, float], length: int) -> dict[str, int]:
    """Number of images of each source in an epoch, by largest remainders.

    >>> whole_draws({"real": 0.5, "synthetic": 0.3, "pasted": 0.2}, 9)
    {'real': 4, 'synthetic': 3, 'pasted': 2}
    """
    exact = {name: share * length for name, share in weights.items()}
    counts = {name: math.floor(value + 1e-9) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: (counts[name] - exact[name], list(exact).index(name))):
        if sum(counts.values()) >= length:
            break
        counts[name] += 1
    return counts


@dataclass(frozen=True)
class EpochSampling:
    """The training images of each epoch.

    Attributes:
        members: Numbers of the training images of each source.
        weights: Share of each source, summing to 1.
        length: Images per epoch.
        variants: Of every training image: the image itself and its augmentations.
        seed: Of the order.
    """

    members: Mapping[str, Sequence[int]]
    weights: Mapping[str, float]
    length: int
    variants: int = 1
    seed: int = 0

    @property
    def draws(self) -> dict[str, int]:
        """Number of images of each source in an epoch."""
        return whole_draws(self.weights, self.length)

    def epoch(self, number: int) -> NDArray[np.int64]:
        """The training indices of one epoch, in order.

        Every source is sampled in shuffled passes that continue from epoch to epoch, so that none of its images comes
        twice before each came once; each pass takes the next variant. The draws of all sources are shuffled together.

        Args:
            number: From 0.

        Returns:
            (length,) indices `image * variants + variant`.
        """
        by_source = [self._draw(source, count, number) for source, count in self.draws.items() if count]
        draws = np.concatenate(by_source) if by_source else np.empty(0, np.int64)
        shuffled: NDArray[np.int64] = draws[numpy_generator(self.seed, "epoch", number).permutation(len(draws))]
        return shuffled

    def _draw(self, source: str, count: int, epoch: int) -> NDArray[np.int64]:
        images = np.asarray(self.members[source], np.int64)
        positions = np.arange(epoch * count, (epoch + 1) * count)
        passes = positions // len(images)
        indices = []
        for number in np.unique(passes):
            order = numpy_generator(self.seed, "pass", source, int(number)).permutation(len(images))
            picked = images[order[positions[passes == number] % len(images)]]
            # The first variant differs from image to image, so that a pass has variants of all numbers.
            first = [seed_for(self.seed, "version", int(image)) % self.variants for image in picked]
            indices.append(picked * self.variants + (np.asarray(first, np.int64) + number) % self.variants)
        return np.concatenate(indices)


def items_by_split(
    real: Mapping[str, Sequence[Sample]],
    selected: Sequence[tuple[Source, Sample]],
    hashes: Mapping[str, Mapping[str, str]],
) -> dict[str, list[Item]]:
    def item(folder: str, origin: str, sample: Sample, split: str) -> Item:
        return Item(f"{folder}/{sample.name}", sample, origin, split, hashes[folder][sample.name])

    items = {split: [item("real", "real", sample, split) for sample in real[split]] for split in SPLITS}
    items["train"] += [item(source.name, source.origin, sample, "train") for source, sample in selected]
    if not items["train"]:
        what = "nothing is left to train on; lower the thresholds or change the ratio"
        raise DataError(what, code="E-mix-no-training-images")
    return items
