"""The plan of a mixture: which image is in which split, how often it is sampled and how it is cropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from augment.mixing.leak_check import NearDuplicates
from augment.mixing.request import SOURCES, Request
from augment.mixing.selection import EpochSampling, StrataFill
from augment.mixing.sources import Cropper, Dropped, count_dropped
from augment.transforms.pipeline import Pipeline
from defects.formats.listing import SPLITS
from defects.sample import GOOD, Sample
from engine.files.atomic import sha256_bytes, to_json


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
