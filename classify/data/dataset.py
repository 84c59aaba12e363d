"""From a folder to the examples of training, validation and test: whole images and groups are held out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from augment.mixing.dataset import MixedFolder
from augment.mixing.folder import REQUEST
from augment.mixing.plan import EpochSampling
from classify.config import ClassifierConfig
from classify.data.examples import Examples, classes_of, examples_of
from classify.data.leaks import REAL, check_training, originals, reject_trained
from defects.formats.dataset import Dataset, open_dataset
from defects.images.decode import at_depth
from defects.manifest import NAME
from defects.provenance import image_hashes
from defects.sample import GOOD, Sample
from defects.splits import check_no_leak, near_duplicate_groups, split
from engine.errors import DataError

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Mixture:
    """A folder of mix-defects, whose split is that of its subfolders.

    Attributes:
        root: the folder.
        splits: samples of `train`, `val` and `test`; a split may be empty.
        sampling: how often an epoch of training samples each source.
        layout: as for a plain folder.
    """

    root: Path
    splits: dict[str, list[Sample]]
    sampling: EpochSampling
    layout: str = "mixture"

    @property
    def samples(self) -> list[Sample]:
        return [sample for split in self.splits.values() for sample in split]


@dataclass(frozen=True)
class Prepared:
    """The examples of a run.

    Attributes:
        train: may hold synthetic and pasted images.
        val: real images only; may be empty.
        test: real images only; may be empty.
        classes: names by number.
        meta: the checkpoint's description of the data.
    """

    train: Examples
    val: Examples
    test: Examples
    classes: tuple[str, ...]
    meta: dict[str, Any] = field(default_factory=dict)


def open_data(root: Path, layout: str = "auto", depth16: str = "refuse") -> Dataset | Mixture:
    """A folder in any layout, or a mixture by mix-defects.

    Raises:
        IssuesError, DataError, UsageError: as `defects.formats.dataset.open_dataset` and `MixedFolder`.
    """
    root = Path(root)
    if layout == "auto" and (root / REQUEST).is_file():
        folders = {name: MixedFolder(root, name) for name in SPLITS if (root / name / NAME).is_file()}
        if "train" not in folders:
            raise DataError(
                f"{root}: holds no finished mixture; run mix-defects again with --resume", code="E-classify-mixture"
            )
        splits = {name: at_depth(folders[name].samples, depth16) if name in folders else [] for name in SPLITS}
        return Mixture(root, splits, folders["train"].sampling)
    dataset = open_dataset(root, layout)
    return replace(dataset, samples=at_depth(dataset.samples, depth16))


def prepare(dataset: Dataset | Mixture, config: ClassifierConfig, log: Callable[[str], None] = logger.info) -> Prepared:
    """Holds images out, cuts the others into examples and checks that there is something to learn.

    Args:
        dataset: as `open_data` gives it.
        config: of the run; `data.split_seed` decides the split.
        log: receives progress lines.

    Raises:
        DataError: there is one class only, a class is empty, the sets are too small, a held-out image would
            be trained on, or images of training or validation do not open.
    """
    if isinstance(dataset, Mixture):
        splits = {name: _usable(samples, config, log) for name, samples in dataset.splits.items()}
    else:
        splits = _split(_usable(dataset.samples, config, log), config, dataset.root, log)
    every = [sample for split in splits.values() for sample in split]
    held = [*splits["val"], *splits["test"]]
    hashes = dict(zip((str(sample.image) for sample in every), image_hashes(every), strict=True))
    check_training(splits["train"], held, dataset.root, hashes)
    check_no_leak(splits["val"], splits["test"])
    classes = classes_of(every, config.task)
    if config.data.tile is not None and GOOD not in classes:
        classes = (GOOD, *classes)
    train, val, test = (examples_of(splits[name], config.data, config.task, classes, name=name) for name in SPLITS)
    val.share(train)
    test.share(train)
    complete = len(splits["train"]) == len(dataset.splits["train"]) if isinstance(dataset, Mixture) else False
    if isinstance(dataset, Mixture) and complete and config.data.tile is None and dataset.sampling.weights:
        train.sampling = dataset.sampling  # whose indices are of all its images
    shares = {"val": config.data.val_fraction, "test": config.data.test_fraction}
    required = set() if isinstance(dataset, Mixture) else {name for name, share in shares.items() if share > 0}
    _check_classes(train, val, test, config, dataset.root, required)
    counts = {name: examples.counts for name, examples in zip(SPLITS, (train, val, test), strict=True)}
    for name, numbers in counts.items():
        if splits[name]:
            listed = ", ".join(f"{number} {label}" for label, number in numbers.items())
            log(f"{name}: {len(splits[name])} images, {listed}")
    if issues := [*train.issues(), *val.issues()]:
        raise DataError("\n".join(issues), code="E-image-unreadable")
    digests = {name: {s.name: hashes[str(s.image)] for s in samples} for name, samples in splits.items()}
    meta = {
        "data": {
            "layout": dataset.layout,
            "classes": list(classes),
            "counts": counts,
            "train": len(splits["train"]),
            "sources": dict(sorted(Counter(sample.source for sample in splits["train"]).items())),
            "train_images": digests["train"],
            "train_sha256": sorted({*digests["train"].values(), *originals(splits["train"])}),
            "val": sorted(digests["val"]),
            "test": sorted(digests["test"]),
            "val_sha256": sorted(digests["val"].values()),
            "test_sha256": sorted(digests["test"].values()),
            "split_seed": config.data.split_seed,
        }
    }
    return Prepared(train, val, test, classes, meta)


def held_out(
    dataset: Dataset | Mixture,
    config: ClassifierConfig,
    classes: Sequence[str],
    meta: dict[str, Any],
    split: str = "test",
) -> Examples:
    """The images that a classifier's checkpoint names as held out, from the folder it was trained on.

    Args:
        dataset: as `open_data` gives it.
        config: of the checkpoint.
        classes: of the checkpoint.
        meta: of the checkpoint.
        split: `test` or `val`.

    Raises:
        DataError: they are not in the folder, or it was trained on some of them.
    """
    names = set(meta["data"][split])
    if not names:
        raise DataError(
            f"{dataset.root}: no images were held out as {split} in training; use another --split",
            code="E-classify-nothing-held-out",
        )
    samples = [sample for sample in dataset.samples if sample.name in names and sample.source in REAL]
    if len(samples) < len(names):
        raise DataError(
            f"{dataset.root}: holds {len(samples)} of the {len(names)} images that the classifier's {split} names; "
            "give the folder that it was trained on",
            code="E-classify-other-folder",
        )
    reject_trained(samples, meta, what=str(dataset.root))
    return examples_of(samples, config.data, config.task, classes, name=split)


def _usable(samples: Sequence[Sample], config: ClassifierConfig, log: Callable[[str], None]) -> list[Sample]:
    """All samples; where images are tiled, those with a mask."""
    usable = [sample for sample in samples if sample.has_pixels or config.data.tile is None]
    if len(usable) < len(samples):
        log(f"left out: {len(samples) - len(usable)} images without a mask")
    return usable


def _split(
    samples: list[Sample], config: ClassifierConfig, root: Path, log: Callable[[str], None]
) -> dict[str, list[Sample]]:
    """Real images by their groups; synthetic images are trained on, never held out."""
    real = [sample for sample in samples if sample.source in REAL]
    synthetic = [sample for sample in samples if sample.source not in REAL]
    if synthetic and not real:
        raise DataError(
            f"{root}: holds synthetic images only, and only real images may validate or test; "
            "mix them with real images by `mix-defects --real DIR --synthetic DIR`",
            code="E-classify-no-real-images",
        )
    if not any(sample.group for sample in real):
        groups = near_duplicate_groups([s if s.has_pixels else replace(s, label=GOOD) for s in real])
        real = [replace(sample, group=group) for sample, group in zip(real, groups, strict=True)]
        log(f"no groups are given: {len(real)} images form {len(set(groups))} groups of near-duplicates")
    data = config.data
    fractions = {
        "train": 1 - data.val_fraction - data.test_fraction,
        "val": data.val_fraction,
        "test": data.test_fraction,
    }
    shares = {name: share for name, share in fractions.items() if share > 0}
    if len({sample.part for sample in real}) < len(shares):
        raise DataError(
            f"{root}: {len({sample.part for sample in real})} groups cannot be divided into {', '.join(shares)}; "
            "add images of other groups, or set data.val_fraction or data.test_fraction to 0",
            code="E-classify-too-few-groups",
        )
    splits: dict[str, list[Sample]] = {name: [] for name in SPLITS} | split(real, shares, data.split_seed)
    held = {sample.part for name in ("val", "test") for sample in splits[name] if sample.group}
    usable = [sample for sample in synthetic if sample.part not in held]
    if len(usable) < len(synthetic):
        log(f"left out: {len(synthetic) - len(usable)} synthetic images of groups that are held out")
    return splits | {"train": [*splits["train"], *usable]}


def _check_classes(
    train: Examples, val: Examples, test: Examples, config: ClassifierConfig, root: Path, required: set[str]
) -> None:
    """Every class is trained on; validation and test hold both of two, or at least two of many."""
    every = Counter(dict.fromkeys(train.classes, 0))
    for examples in (train, val, test):
        every.update(examples.counts)
    present = [name for name in train.classes if every[name]]
    if len(present) < 2:
        listed = ", ".join(f"{every[name]} {name}" for name in present) or "none"
        raise DataError(
            f"{root}: holds one class only ({listed}); a classifier needs examples of two", code="E-classify-one-class"
        )
    for examples in (train, val, test):
        if examples is not train and not len(examples) and examples.name not in required:
            continue
        empty = [name for name, number in examples.counts.items() if not number]
        if empty and (examples is train or config.task == "binary" or len(examples.classes) - len(empty) < 2):
            raise DataError(
                f"{root}: {examples.name} holds no {' and no '.join(empty)} ({len(examples)} examples); add images, "
                "or use another data.split_seed or other fractions",
                code="E-classify-empty-class",
            )
