"""From a folder to the examples of training, validation and test: whole photographs and groups are held out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from augment.mixing.dataset import MixedFolder
from augment.mixing.output import REQUEST
from augment.mixing.sampling_weights import Exposure
from classify.config import ClassifierConfig
from classify.data.examples import Examples, classes_of, examples_of
from classify.data.leaks import REAL, check_training, hashes_of, originals, refuse_trained
from defects.formats.dataset import Dataset, open_dataset
from defects.images.decode import at_depth
from defects.manifest import NAME
from defects.sample import GOOD, Sample
from defects.splits import check_no_leak, near_duplicate_groups, split
from engine.errors import DataError

logger = logging.getLogger(__name__)

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Mixture:
    """A folder of mix-defects, whose split is that of its subfolders.

    Attributes:
        root: the folder.
        parts: samples of `train`, `val` and `test`; a part may be empty.
        exposure: what an epoch of training sees.
        layout: as for a plain folder.
    """

    root: Path
    parts: dict[str, list[Sample]]
    exposure: Exposure
    layout: str = "mixture"

    @property
    def samples(self) -> list[Sample]:
        return [sample for part in self.parts.values() for sample in part]


@dataclass(frozen=True)
class Prepared:
    """What a run trains, validates and tests on.

    Attributes:
        train: may hold synthetic and pasted images.
        val: photographs only; may be empty.
        test: photographs only; may be empty.
        classes: names by number.
        meta: what the checkpoint says about the data.
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
        there = {name: MixedFolder(root, name) for name in PARTS if (root / name / NAME).is_file()}
        if "train" not in there:
            raise DataError(f"{root}: holds no finished mixture; run mix-defects again with --resume")
        parts = {name: at_depth(there[name].samples, depth16) if name in there else [] for name in PARTS}
        return Mixture(root, parts, there["train"].exposure)
    dataset = open_dataset(root, layout)
    return replace(dataset, samples=at_depth(dataset.samples, depth16))


def prepare(
    dataset: Dataset | Mixture, config: ClassifierConfig, tell: Callable[[str], None] = logger.info
) -> Prepared:
    """Holds photographs out, cuts what is left into examples and checks that there is something to learn.

    Args:
        dataset: as `open_data` gives it.
        config: of the run; `data.split_seed` decides the split.
        tell: receives progress lines; the log by default.

    Raises:
        DataError: there is one class only, a class is empty, the sets are too small, a held-out photograph would
            be trained on, or images of training or validation do not open.
    """
    if isinstance(dataset, Mixture):
        parts = {name: _usable(samples, config, tell) for name, samples in dataset.parts.items()}
    else:
        parts = _split(_usable(dataset.samples, config, tell), config, dataset.root, tell)
    every = [sample for part in parts.values() for sample in part]
    held = [*parts["val"], *parts["test"]]
    hashes = hashes_of(every)
    check_training(parts["train"], held, dataset.root, hashes)
    check_no_leak(parts["val"], parts["test"])
    classes = classes_of(every, config.task)
    if config.data.tile is not None and GOOD not in classes:
        classes = (GOOD, *classes)
    train, val, test = (examples_of(parts[name], config.data, config.task, classes, name=name) for name in PARTS)
    val.share(train)
    test.share(train)
    if isinstance(dataset, Mixture) and config.data.tile is None:
        train.exposure = _exposure(dataset.exposure, dataset.parts["train"], parts["train"])
    shares = {"val": config.data.val_fraction, "test": config.data.test_fraction}
    required = set() if isinstance(dataset, Mixture) else {name for name, share in shares.items() if share > 0}
    _check_classes(train, val, test, config, dataset.root, required)
    counts = {name: examples.counts for name, examples in zip(PARTS, (train, val, test), strict=True)}
    for name, numbers in counts.items():
        if parts[name]:
            told = ", ".join(f"{number} {kind}" for kind, number in numbers.items())
            tell(f"{name}: {len(parts[name])} images, {told}")
    if issues := [*train.issues(), *val.issues()]:
        raise DataError("\n".join(issues))
    digests = {name: {s.name: hashes[str(s.image)] for s in samples} for name, samples in parts.items()}
    meta = {
        "data": {
            "layout": dataset.layout,
            "classes": list(classes),
            "counts": counts,
            "train": len(parts["train"]),
            "sources": dict(sorted(Counter(sample.source for sample in parts["train"]).items())),
            "train_images": digests["train"],
            "train_sha256": sorted({*digests["train"].values(), *originals(parts["train"])}),
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
    part: str = "test",
) -> Examples:
    """The photographs that a classifier's checkpoint names as held out, out of the folder it was trained from.

    Args:
        dataset: as `open_data` gives it.
        config: of the checkpoint.
        classes: of the checkpoint.
        meta: of the checkpoint.
        part: `test` or `val`.

    Raises:
        DataError: they are not in the folder, or it was trained on some of them.
    """
    names = set(meta["data"][part])
    if not names:
        raise DataError(f"{dataset.root}: no images were held out as {part} in training; use another --part")
    chosen = [sample for sample in dataset.samples if sample.name in names and sample.source in REAL]
    if len(chosen) < len(names):
        raise DataError(
            f"{dataset.root}: holds {len(chosen)} of the {len(names)} images that the classifier's {part} names; "
            "give the folder that it was trained from"
        )
    refuse_trained(chosen, meta, what=str(dataset.root))
    return examples_of(chosen, config.data, config.task, classes, name=part)


def _usable(samples: Sequence[Sample], config: ClassifierConfig, tell: Callable[[str], None]) -> list[Sample]:
    """Tiles need to know where the defect is."""
    usable = [sample for sample in samples if sample.has_pixels or config.data.tile is None]
    if len(usable) < len(samples):
        tell(f"left out: {len(samples) - len(usable)} images without a mask")
    return usable


def _split(
    samples: list[Sample], config: ClassifierConfig, root: Path, tell: Callable[[str], None]
) -> dict[str, list[Sample]]:
    """Photographs by their groups; made images are trained on, never held out."""
    real = [sample for sample in samples if sample.source in REAL]
    made = [sample for sample in samples if sample.source not in REAL]
    if made and not real:
        raise DataError(
            f"{root}: holds made images only, and only photographs may validate or test; "
            "mix them with photographs by `mix-defects --real DIR --synthetic DIR`"
        )
    if not any(sample.group for sample in real):
        groups = near_duplicate_groups([_unmasked(sample) for sample in real])
        real = [replace(sample, group=group) for sample, group in zip(real, groups, strict=True)]
        tell(f"no groups are given: {len(real)} images form {len(set(groups))} groups of near duplicates")
    data = config.data
    fractions = {
        "train": 1 - data.val_fraction - data.test_fraction,
        "val": data.val_fraction,
        "test": data.test_fraction,
    }
    wanted = {name: share for name, share in fractions.items() if share > 0}
    if len({sample.part for sample in real}) < len(wanted):
        raise DataError(
            f"{root}: {len({sample.part for sample in real})} parts cannot be divided into {', '.join(wanted)}; "
            "add photographs of other parts, or set data.val_fraction or data.test_fraction to 0"
        )
    found: dict[str, list[Sample]] = {name: [] for name in PARTS} | split(real, wanted, data.split_seed)
    held = {sample.part for name in ("val", "test") for sample in found[name] if sample.group}
    kept = [sample for sample in made if sample.part not in held]
    if len(kept) < len(made):
        tell(f"left out: {len(made) - len(kept)} made images of parts that are held out")
    return found | {"train": [*found["train"], *kept]}


def _unmasked(sample: Sample) -> Sample:
    """A photograph whose defect is not annotated, as one to be compared by its picture alone."""
    return sample if sample.has_pixels else replace(sample, label=GOOD)


def _exposure(exposure: Exposure, before: list[Sample], after: list[Sample]) -> Exposure | None:
    """What an epoch sees; None, each image once, where some were left out and the numbers are no longer theirs."""
    return exposure if exposure.shares and len(before) == len(after) else None


def _check_classes(
    train: Examples, val: Examples, test: Examples, config: ClassifierConfig, root: Path, required: set[str]
) -> None:
    """Every class is trained on; validation and test hold both of two, or at least two of many."""
    every = Counter(dict.fromkeys(train.classes, 0))
    for examples in (train, val, test):
        every.update(examples.counts)
    present = [name for name in train.classes if every[name]]
    if len(present) < 2:
        found = ", ".join(f"{every[name]} {name}" for name in present) or "none"
        raise DataError(f"{root}: holds one class only ({found}); a classifier needs examples of two")
    for examples in (train, val, test):
        if examples is not train and not len(examples) and examples.name not in required:
            continue
        empty = [name for name, number in examples.counts.items() if not number]
        if empty and (examples is train or config.task == "binary" or len(examples.classes) - len(empty) < 2):
            raise DataError(
                f"{root}: {examples.name} holds no {' and no '.join(empty)} ({len(examples)} examples); add images, "
                "or choose another data.split_seed or other fractions"
            )
