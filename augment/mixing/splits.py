"""Splits: which real images train, validate and test. Synthetic and pasted images only train."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from augment.mixing.request import STORED
from defects.formats.dataset import open_dataset
from defects.formats.listing import SPLITS
from defects.provenance import image_hashes
from defects.sample import GOOD, Sample
from defects.splits import check_no_leak, near_duplicate_groups, split
from engine.errors import DataError, UsageError
from engine.files.atomic import from_json

_EXAMPLES = 3


@dataclass(frozen=True)
class GeneratorSplit:
    """The split that a generator was trained with.

    Attributes:
        test: Names of its held-out images.
        train_sha256: Of its training image files.
    """

    test: frozenset[str] = frozenset()
    train_sha256: frozenset[str] = frozenset()

    def __or__(self, other: GeneratorSplit) -> GeneratorSplit:
        return GeneratorSplit(self.test | other.test, self.train_sha256 | other.train_sha256)


@dataclass(frozen=True)
class SplitResult:
    """The real images by split.

    Attributes:
        samples: Of `train`, `val` and `test`.
        method: In words.
        warnings: Classes that a split lacks.
    """

    samples: dict[str, list[Sample]]
    method: str
    warnings: list[str] = field(default_factory=list)

    @property
    def held_out(self) -> list[Sample]:
        """Images of validation and test."""
        return [*self.samples["val"], *self.samples["test"]]


def hashes_by_name(samples: Sequence[Sample]) -> dict[str, str]:
    """SHA-256 of every image file, by sample name; computed, not read from a manifest.

    Raises:
        DataError: A file cannot be read.
    """
    return dict(zip((sample.name for sample in samples), image_hashes(samples), strict=True))


def with_groups(samples: Sequence[Sample]) -> tuple[list[Sample], str]:
    """The samples with groups, those of near-duplicates where no sample has one; and a message about it.

    Raises:
        DataError: An image does not open.
    """
    if any(sample.group for sample in samples):
        return list(samples), ""
    groups = near_duplicate_groups(samples)
    grouped = [replace(sample, group=group) for sample, group in zip(samples, groups, strict=True)]
    return grouped, f"no groups are given: {len(samples)} images form {len(set(groups))} groups of near-duplicates"


def read_generator_split(path: Path) -> GeneratorSplit:
    """The split in a `generator.json`, a checkpoint's JSON file, or a folder with the former.

    Raises:
        DataError: The file is missing or has no split.
    """
    file = path / "generator.json" if path.is_dir() else path
    try:
        content: Any = from_json(file.read_bytes())
        data = content.get("meta", content)["data"]
        test, trained = data["test"], data["train_sha256"]
        if not all(isinstance(value, str) for value in (*test, *trained)):
            raise TypeError
    except OSError as error:
        what = f"{file}: {error.strerror}; give a generator.json or a checkpoint's .json"
        raise DataError(what, code="E-mix-no-split") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        what = f"{file}: has no split; give a generator.json or a checkpoint's .json"
        raise DataError(what, code="E-mix-no-split") from None
    return GeneratorSplit(frozenset(test), frozenset(trained))


def split_real(
    samples: Sequence[Sample],
    fractions: Mapping[str, float],
    seed: int,
    *,
    known: GeneratorSplit | None = None,
    hashes: Mapping[str, str] | None = None,
    column: bool = False,
) -> SplitResult:
    """Splits real images by group, each class in every split.

    Args:
        samples: With groups.
        fractions: Shares of `val` and `test`, 0 for none.
        seed: Of the split.
        known: Use the split of a generator: its training images train, with the rest of their groups, and its held-out
            images are divided between validation and test.
        hashes: SHA-256 by sample name, needed with `known`.
        column: Use the `split` column of the samples.

    Raises:
        DataError: A class has too few groups for two splits, or no image is left for validation and test.
        UsageError: The column is missing or has another value.
    """
    shares = {name: share for name, share in fractions.items() if share > 0}
    if column:
        by_split, method = _by_column(samples), "the split column"
    elif known is not None and _concerns(samples, known, hashes or {}):
        by_split, method = _like_generator(samples, shares, seed, known, hashes or {})
    else:
        method = "sampled by group and class"
        by_split = {"train": list(samples)}
        if shares:
            _check_rare_classes(samples)
            by_split = split(samples, {"train": 1 - sum(shares.values()), **shares}, seed)
    by_split = {name: by_split.get(name, []) for name in SPLITS}
    if not by_split["train"]:
        what = "no real image is left to train on; give smaller shares by --val and --test"
        raise DataError(what, code="E-mix-no-training-images")
    result = SplitResult(by_split, method, _missing_classes(by_split, {"train", *shares}))
    check_no_leak(by_split["train"], result.held_out)
    check_no_leak(by_split["val"], by_split["test"])
    return result


def _concerns(samples: Iterable[Sample], known: GeneratorSplit, hashes: Mapping[str, str]) -> bool:
    """Whether any of the images is in a generator's split."""
    return any(s.name in known.test or hashes.get(s.name) in known.train_sha256 for s in samples)


def _like_generator(
    samples: Sequence[Sample], shares: Mapping[str, float], seed: int, known: GeneratorSplit, hashes: Mapping[str, str]
) -> tuple[dict[str, list[Sample]], str]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.part].append(sample)
    untrained = [g for g in groups.values() if not any(hashes.get(s.name) in known.train_sha256 for s in g)]
    held_out_groups = [group for group in untrained if any(s.name in known.test for s in group)]
    method = "the generator's: its held-out groups validate and test"
    if not held_out_groups:
        held_out_groups, method = untrained, "groups that the generator was not trained on validate and test"
    held_out = [sample for group in held_out_groups for sample in group]
    if shares and not held_out:
        raise DataError(
            "the generator was trained on an image of every group, so that none is left for validation and test; "
            "train it again with data.test_fraction=0.2, give images of other specimens, or --val 0 --test 0",
            code="E-mix-no-held-out-images",
        )
    names = {sample.name for sample in held_out}
    by_split = {"train": [sample for sample in samples if sample.name not in names]}
    if not shares:
        return {"train": list(samples)}, method
    if not known.test & {s.name for s in samples}:  # the generator has no test images: hold out the requested shares
        share = sum(shares.values()) * len(samples) / len(held_out)
        if share < 1:
            more = split(held_out, {"train": 1 - share, "held": share}, seed)
            held_out, by_split["train"] = more["held"], [*by_split["train"], *more["train"]]
    total = sum(shares.values())
    by_split |= split(held_out, {name: share / total for name, share in shares.items()}, seed)
    return by_split, method


def _by_column(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    by_split: dict[str, list[Sample]] = {name: [] for name in SPLITS}
    for sample in samples:
        name = sample.metadata.get("split")
        if name not in SPLITS:
            what = f"--split-from column: {sample.image} has split {name!r}; write one of {', '.join(SPLITS)} there"
            raise UsageError(what, code="E-mix-bad-split-column")
        by_split[name].append(sample)
    return by_split


def _check_rare_classes(samples: Sequence[Sample]) -> None:
    """A class of one group can be in training or in test, not in both."""
    groups: dict[str, set[str]] = defaultdict(set)
    images: dict[str, int] = defaultdict(int)
    for sample in samples:
        groups[sample.label].add(sample.part)
        images[sample.label] += 1
    rare = [f"{label} ({images[label]} images)" for label in sorted(groups) if len(groups[label]) < 2]
    if rare:
        raise DataError(
            f"{len(rare)} classes have one group only and cannot be in training and in test: "
            f"{', '.join(rare[:_EXAMPLES])}; add images of other specimens, rename them by --class-map, or train on "
            "all images by --val 0 --test 0",
            code="E-mix-rare-class",
        )


def _missing_classes(by_split: Mapping[str, Sequence[Sample]], needed: set[str]) -> list[str]:
    labels = sorted({s.label for samples in by_split.values() for s in samples}, key=lambda n: (n != GOOD, n))
    lines = []
    for name in SPLITS:
        missing = [label for label in labels if label not in {s.label for s in by_split[name]}]
        if name in needed and missing:
            # summary.json keeps the words of its first version.
            what = f"no image of {STORED['class']} {', '.join(missing)}"
            lines.append(f"{name} has {what}: too few groups, or the split says so")
    return lines


def training_split(
    real: Path, *, layout: str = "auto", val: float = 0.1, test: float = 0.2, split_from: str = "none", seed: int = 0
) -> SplitResult:
    """Splits the images of a folder as `mix-defects` does with the same settings.

    Raises:
        DataError: The folder cannot be read or split.
        UsageError: A setting is wrong.
    """
    usable = [s for s in open_dataset(real, layout).samples if s.source in ("real", "procedural") and s.has_pixels]
    if not usable:
        what = f"{real}: no real image with known pixels in it; see `check-data {real}` for what was read"
        raise DataError(what, code="E-mix-no-images")
    samples, _ = with_groups(usable)
    known = None if split_from in ("none", "auto", "column") else read_generator_split(Path(split_from))
    hashes = hashes_by_name(samples) if known is not None else {}
    fractions = {"val": val, "test": test}
    return split_real(samples, fractions, seed, known=known, hashes=hashes, column=split_from == "column")
