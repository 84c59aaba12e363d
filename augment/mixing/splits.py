"""Which photographs train, validate and test; made images only ever train."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from augment.mixing.leak_check import image_hashes
from defects.formats.dataset import open_dataset
from defects.sample import GOOD, Sample
from defects.splits import check_no_leak, near_duplicate_groups, split
from engine.errors import DataError, UsageError
from engine.files.atomic import from_json

SPLITS = ("train", "val", "test")
_NAMED = 3


@dataclass(frozen=True)
class KnownSplit:
    """What a generator says of its own split.

    Attributes:
        test: Names of its held-out images.
        train_sha256: Of its training image files.
    """

    test: frozenset[str] = frozenset()
    train_sha256: frozenset[str] = frozenset()

    def __or__(self, other: KnownSplit) -> KnownSplit:
        return KnownSplit(self.test | other.test, self.train_sha256 | other.train_sha256)


@dataclass(frozen=True)
class Assignment:
    """The photographs by split.

    Attributes:
        parts: Samples of `train`, `val` and `test`.
        how: In words.
        warnings: Kinds that a split lacks, and the like.
    """

    parts: dict[str, list[Sample]]
    how: str
    warnings: list[str] = field(default_factory=list)


def grouped(samples: Sequence[Sample]) -> tuple[list[Sample], str]:
    """The samples with groups, found by their looks where no sample has one; and what was done, in words.

    Raises:
        DataError: An image does not open.
    """
    if any(sample.group for sample in samples):
        return list(samples), ""
    groups = near_duplicate_groups(samples)
    found = [replace(sample, group=group) for sample, group in zip(samples, groups, strict=True)]
    return found, f"no groups are given: {len(samples)} images form {len(set(groups))} groups of near duplicates"


def read_split(path: Path) -> KnownSplit:
    """The split that a `generator.json`, a checkpoint's description or a folder with the former tells of.

    Raises:
        DataError: The file is missing or says nothing of a split.
    """
    file = path / "generator.json" if path.is_dir() else path
    try:
        content: Any = from_json(file.read_bytes())
        data = content.get("meta", content)["data"]
        test, seen = data["test"], data["train_sha256"]
        if not all(isinstance(value, str) for value in (*test, *seen)):
            raise TypeError
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}; give a generator.json or a checkpoint's .json") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(f"{file}: says nothing of a split; give a generator.json or a checkpoint's .json") from None
    return KnownSplit(frozenset(test), frozenset(seen))


def assign(
    samples: Sequence[Sample],
    fractions: Mapping[str, float],
    seed: int,
    *,
    known: KnownSplit | None = None,
    hashes: Mapping[str, str] | None = None,
    column: bool = False,
) -> Assignment:
    """Divides photographs, a group never parted, every kind in every split.

    Args:
        samples: With groups.
        fractions: Shares of `val` and `test`, 0 for none.
        seed: Another seed, another split.
        known: Keep to a generator's split: what it has seen trains, with the rest of its group, and what it held
            out is divided between validation and test.
        hashes: SHA-256 by sample name, needed with `known`.
        column: Take the split from each sample's `split` column.

    Raises:
        DataError: A kind has too few groups to be in two splits, or nothing is left unseen.
        UsageError: The column is missing or holds another word.
    """
    wanted = {name: share for name, share in fractions.items() if share > 0}
    if column:
        parts, how = _by_column(samples), "the split column"
    elif known is not None and _touches(samples, known, hashes or {}):
        parts, how = _like_generator(samples, wanted, seed, known, hashes or {})
    else:
        if wanted:
            _refuse_rare(samples)
        shares = {"train": 1 - sum(wanted.values()), **wanted}
        parts, how = (split(samples, shares, seed) if wanted else {"train": list(samples)}), "drawn by group and kind"
    parts = {name: parts.get(name, []) for name in SPLITS}
    if not parts["train"]:
        raise DataError("no photograph is left to train on; keep fewer for --val and --test")
    held = [*parts["val"], *parts["test"]]
    check_no_leak(parts["train"], held)
    check_no_leak(parts["val"], parts["test"])
    return Assignment(parts, how, _gaps(parts, {"train", *wanted}))


def _touches(samples: Iterable[Sample], known: KnownSplit, hashes: Mapping[str, str]) -> bool:
    """Whether a generator's split says anything of these photographs."""
    return any(s.name in known.test or hashes.get(s.name) in known.train_sha256 for s in samples)


def _like_generator(
    samples: Sequence[Sample], wanted: Mapping[str, float], seed: int, known: KnownSplit, hashes: Mapping[str, str]
) -> tuple[dict[str, list[Sample]], str]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.part].append(sample)
    unseen = [g for g in groups.values() if not any(hashes.get(s.name) in known.train_sha256 for s in g)]
    kept = [group for group in unseen if any(s.name in known.test for s in group)]
    how = "the generator's: its held-out groups validate and test"
    if not kept:
        kept, how = unseen, "groups that the generator has not seen validate and test"
    held = [sample for group in kept for sample in group]
    if wanted and not held:
        raise DataError(
            "the generator has seen a picture of every part, so that none is left for validation and test; "
            "train it again with data.test_fraction=0.2, give photographs of other parts, or --val 0 --test 0"
        )
    names = {sample.name for sample in held}
    parts = {"train": [sample for sample in samples if sample.name not in names]}
    if not wanted:
        return {"train": list(samples)}, how
    if not known.test & {s.name for s in samples}:  # nobody says how much to hold out: the shares asked for
        share = sum(wanted.values()) * len(samples) / len(held)
        if share < 1:
            more = split(held, {"train": 1 - share, "held": share}, seed)
            held, parts["train"] = more["held"], [*parts["train"], *more["train"]]
    total = sum(wanted.values())
    parts |= split(held, {name: share / total for name, share in wanted.items()}, seed)
    return parts, how


def _by_column(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    parts: dict[str, list[Sample]] = {name: [] for name in SPLITS}
    for sample in samples:
        name = sample.metadata.get("split")
        if name not in SPLITS:
            raise UsageError(
                f"--split-from column: {sample.image} has split {name!r}; write one of {', '.join(SPLITS)} there"
            )
        parts[name].append(sample)
    return parts


def _refuse_rare(samples: Sequence[Sample]) -> None:
    """A kind of one group can be learnt or tested, not both."""
    groups: dict[str, set[str]] = defaultdict(set)
    images: dict[str, int] = defaultdict(int)
    for sample in samples:
        groups[sample.label].add(sample.part)
        images[sample.label] += 1
    rare = [f"{label} ({images[label]} images)" for label in sorted(groups) if len(groups[label]) < 2]
    if rare:
        raise DataError(
            f"{len(rare)} kinds show one part only and cannot be in training and in test: {', '.join(rare[:_NAMED])}; "
            "add images of other parts, give them another kind by --rename, or train on all by --val 0 --test 0"
        )


def _gaps(parts: Mapping[str, Sequence[Sample]], wanted: set[str]) -> list[str]:
    labels = sorted({s.label for part in parts.values() for s in part}, key=lambda name: (name != GOOD, name))
    lines = []
    for name in SPLITS:
        missing = [label for label in labels if label not in {s.label for s in parts[name]}]
        if name in wanted and missing:
            lines.append(f"{name} has no image of kind {', '.join(missing)}: too few groups, or the split says so")
    return lines


@dataclass(frozen=True)
class TrainingPart:
    """What may be looked at.

    Attributes:
        samples: The training photographs.
        held: How many others are held out.
        how: By what they were divided, in words.
    """

    samples: list[Sample]
    held: int
    how: str


def training_part(
    real: Path, *, layout: str = "auto", val: float = 0.1, test: float = 0.2, split_from: str = "none", seed: int = 0
) -> TrainingPart:
    """Divides photographs as `mix-defects` does with the same settings.

    Raises:
        DataError: The folder cannot be read or divided.
        UsageError: A setting is wrong.
    """
    found = [s for s in open_dataset(real, layout).samples if s.source in ("real", "procedural") and s.has_pixels]
    if not found:
        raise DataError(f"{real}: no real image with known pixels in it; see `check-data {real}` for what was read")
    samples, _ = grouped(found)
    known: KnownSplit | None = None
    hashes: dict[str, str] = {}
    if split_from not in ("none", "auto", "column"):
        known, hashes = read_split(Path(split_from)), image_hashes(samples)
    column = split_from == "column"
    parts = assign(samples, {"val": val, "test": test}, seed, known=known, hashes=hashes, column=column)
    train = parts.parts["train"]
    return TrainingPart(train, len(samples) - len(train), parts.how)
