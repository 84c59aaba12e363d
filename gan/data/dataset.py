"""From a folder to what training needs: split, guide schema, backgrounds, crops."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from defects.attributes.appearance import BackgroundStats, LocalContrast, background_around, local_contrast, ring_radius
from defects.attributes.guide import GuideSchema, GuideValue
from defects.formats.dataset import Dataset
from defects.formats.validation import check_images
from defects.images.decode import image_info, read_mask
from defects.sample import GOOD, Sample
from defects.splits import near_duplicate_groups, split
from engine.errors import DataError, IssuesError
from engine.files.atomic import sha256_file
from gan.config import BlendNetwork, GanConfig
from gan.data.attributes import background_statistics, cluster_backgrounds, guide_columns
from gan.data.crops import CropSource, TrainingCrop

logger = logging.getLogger(__name__)

UNITS = {"thickness": "px"}
MOST_GOOD = 1000


@dataclass(frozen=True)
class Prepared:
    """The data of a run.

    Attributes:
        train: Crops of the training samples.
        test: The held-out samples.
        schema: Guide entries and scales, fitted on `train` only.
        table: Raw guide rows of the defective training samples, for `random`.
        background_stats: Of their backgrounds, in the same order; for Magna-Blend only.
        local_contrasts: Of these defects, in the same order; for Magna-Blend only.
        meta: What the checkpoint states about the data.
    """

    train: CropSource
    test: list[Sample]
    schema: GuideSchema
    table: list[dict[str, GuideValue]]
    background_stats: list[BackgroundStats]
    local_contrasts: list[LocalContrast]
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def defective(self) -> list[int]:
        """Numbers of the samples with a defect."""
        return [i for i, s in enumerate(self.train.samples) if s.label != GOOD]

    @property
    def good(self) -> list[int]:
        """Numbers of the samples without a defect."""
        return [i for i, s in enumerate(self.train.samples) if s.label == GOOD]


def prepare(
    dataset: Dataset, config: GanConfig, log: Callable[[str], None] = logger.info, workers: int = 2
) -> Prepared:
    """Splits by group, measures the guides and fits their scales.

    Args:
        dataset: An opened folder.
        config: Of the run; its seed decides the split.
        log: Receives progress lines.
        workers: Threads that crop and measure.

    Raises:
        IssuesError: Every issue of the folder's images and masks at once.
        DataError: There are fewer than two usable defective training images.
    """
    issues = [issue for issue in check_images(dataset) if not issue.warning]
    if issues:
        raise IssuesError(issues)
    usable = [s for s in dataset.samples if s.has_pixels and s.source in ("real", "procedural")]
    if len(usable) < len(dataset.samples):
        log(f"left out: {len(dataset.samples) - len(usable)} images without a mask or not of real parts")
    if not any(s.group for s in usable):
        groups = near_duplicate_groups(usable)
        usable = [replace(sample, group=group) for sample, group in zip(usable, groups, strict=True)]
        log(f"no groups are given: {len(usable)} images form {len(set(groups))} groups of near duplicates")
    fractions = {"train": 1 - config.data.test_fraction, "test": config.data.test_fraction}
    parts = split(usable, fractions, config.train.seed) if config.data.test_fraction else {"train": usable, "test": []}
    train, test = list(parts["train"]), list(parts["test"])
    defective = [s for s in train if s.label != GOOD and has_defect(s)]
    if len(defective) < 2:
        raise DataError(
            f"{dataset.root}: {len(defective)} defective training images with a mask, at least 2 are needed; "
            "add images, or see `check-data` for what was read",
            code="E-train-few-images",
        )
    good = thinned([s for s in train if s.label == GOOD], MOST_GOOD) if config.data.good_per_defect else []
    train = defective + good
    columns = guide_columns(train, config.data)
    source = CropSource(train, columns, size=config.network.size, channels=config.network.channels, config=config.data)
    clustered = "background" not in columns[0] and config.data.backgrounds > 1
    log(f"measuring {len(train) if clustered else len(defective)} images")
    blends, radius = isinstance(config.network, BlendNetwork), ring_radius(config.network.size)
    with ThreadPoolExecutor(workers) as pool:
        crops = list(pool.map(lambda i: source.cut(i, None), range(len(train) if clustered else len(defective))))
        numbers = range(len(defective)) if blends else ()
        background_stats = list(pool.map(lambda i: _background_stats(source, i, crops[i], radius), numbers))
        local_contrasts = list(pool.map(lambda i: local_contrast(*source.scaled(i)), numbers))
    if clustered:
        statistics = np.stack([background_statistics(crop.image, crop.mask) for crop in crops])
        names = cluster_backgrounds(statistics, config.data.backgrounds, config.train.seed)
        for row, crop, name in zip(columns, crops, names, strict=True):
            row["background"] = crop.guide["background"] = name
    table = [crop.guide for crop in crops[: len(defective)]]
    order = ("thickness", "brightness", "background", "kind")
    present = {name for row in table for name in row}
    names = [n for n in order if n in present] + sorted(present - set(order))
    schema = GuideSchema.fit([{n: row[n] for n in names if n in row} for row in table], UNITS)
    known = {e.name: e for e in schema.entries}
    for row in columns:
        for name in [n for n, v in row.items() if isinstance(v, str) and v not in getattr(known.get(n), "values", ())]:
            row[name] = None
    meta = {
        "data": {
            "layout": dataset.layout,
            "licence": config.data.license,
            "train": len(train),
            "defective": len(defective),
            "depth16": train[0].depth16,
            "kinds": sorted({s.label for s in defective}),
            "test": sorted(s.name for s in test),
            "train_sha256": sorted(sha256_file(s.image) for s in source.samples),
        }
    }
    return Prepared(source, test, schema, table, background_stats, local_contrasts, meta)


def _background_stats(source: CropSource, index: int, crop: TrainingCrop, radius: int) -> BackgroundStats:
    """Of a defect's background: level and grain in its crop, like its brightness; the setting in the whole."""
    whole = background_around(*source.scaled(index), radius)
    return background_around(crop.image, crop.mask, radius)._replace(setting=whole.setting)


def has_defect(sample: Sample) -> bool:
    """Whether a sample called defective has a defect pixel in its mask; published sets hold some that do not."""
    return bool(read_mask(sample, image_info(sample.image)).any())


def thinned(samples: list[Sample], most: int) -> list[Sample]:
    """At most `most` of the samples, evenly spaced in their order."""
    if len(samples) <= most:
        return samples
    return [samples[i * len(samples) // most] for i in range(most)]
