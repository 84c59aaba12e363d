"""Which real images train, validate and test; and that no training image is, nearly, a held-out one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from augment.leakage.near_duplicates import MIN_CROP_SIMILARITY, ReferenceImages, Similarity, calibrated_threshold
from augment.mixing.request import STORED
from augment.mixing.sources import Cropper, Dropped, GeneratorSplit, Source
from defects.formats.listing import SPLITS
from defects.images.decode import image_info
from defects.sample import GOOD, Sample
from defects.splits import check_no_leak, near_duplicate_groups, split
from engine.errors import DataError, UsageError
from engine.files.atomic import from_json, sha256_bytes, to_json

_EXAMPLES = 3
_VERSION = 2
_FOR_CALIBRATION = 200


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


@dataclass(frozen=True)
class NearDuplicates:
    """The result of a search for near-duplicates.

    Attributes:
        drops: Near-duplicates of held-out images.
        threshold: Similarity above which an image counts as one.
        record: The similarities of all images, as JSON, so that a resumed run need not compute them again.
    """

    drops: list[Dropped]
    threshold: float
    record: dict[str, Any]


def _read_record(path: Path | None, key: str) -> list[list[Similarity]] | None:
    """The similarities recorded for the same images, of images and of crops; None where there are none."""
    if path is None:
        return None
    try:
        content = from_json(path.read_bytes())
        if content["key"] != key:
            return None
        return [[Similarity(str(n), float(v)) for n, v in pairs] for pairs in (content["found"], content["pieces"])]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_near_duplicates(
    train: Sequence[Sample],
    training_only: Mapping[str, Sequence[Sample]],
    held_out: Sequence[Sample],
    *,
    hashes: Mapping[str, str],
    cropper: Cropper | None = None,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
    record: Path | None = None,
) -> NearDuplicates:
    """Finds training images that are near-duplicates of a held-out image, or of a region of one.

    Whole images are compared. Where crops are taken from far larger images, images of the size of a crop are compared
    with crops of the held-out images too, at the scale of the crops.

    Args:
        train: Real training images, of other groups than the held-out ones.
        training_only: Synthetic and pasted images by the name of their folder.
        held_out: Images of validation and test.
        hashes: SHA-256 of every file involved, by its path.
        cropper: How the images are cropped.
        workers: Threads.
        on_progress: Called with the number of images compared since the last call.
        record: File with the record of an earlier check.

    Raises:
        DataError: An image does not open.
    """
    if not held_out:
        return NearDuplicates([], 1.0, {})
    queries = [("real", sample) for sample in train]
    queries += [(name, sample) for name, samples in training_only.items() for sample in samples]
    crop = cropper.crop_spec.crop if cropper is not None and cropper.crop_spec is not None else None
    order = [[name, hashes[str(sample.image)]] for name, sample in queries]
    key = sha256_bytes(to_json([_VERSION, crop, [[s.name, hashes[str(s.image)]] for s in held_out], order]))
    small = [pair for pair in queries if crop is not None and min(image_info(pair[1].image).upright) <= 2 * crop]
    for_calibration = train[:: max(1, len(train) // _FOR_CALIBRATION)]
    known = _read_record(record, key)
    if known is None:
        references = ReferenceImages(held_out, workers=workers)
        of_images = list(references.compare((s for _, s in queries), workers=workers, on_progress=on_progress))
        of_crops: list[Similarity] = []
        if small and cropper is not None:
            references = ReferenceImages(held_out, crop=crop, workers=workers)
            of_crops = list(references.compare((s for _, s in small), workers=workers))
            of_crops += references.compare(for_calibration, read=lambda s: cropper.read(s)[0], workers=workers)
        known = [[Similarity(each.name, round(each.value, 6)) for each in some] for some in (of_images, of_crops)]
    of_images, of_crops = known
    searches = [(queries, of_images, calibrated_threshold([each.value for each in of_images[: len(train)]]))]
    if of_crops:
        of_real = [each.value for each in of_crops[len(small) :]]
        searches.append((small, of_crops[: len(small)], calibrated_threshold(of_real, MIN_CROP_SIMILARITY)))
    drops: dict[tuple[str, str], Dropped] = {}
    for some, similarities, threshold in searches:
        for (name, sample), each in zip(some, similarities, strict=True):
            if each.value > threshold:
                detail = f"near-duplicate of the held-out {each.name} (similarity {each.value:.2f})"
                drops.setdefault((name, sample.name), Dropped(name, sample.name, "held-out", detail))
    stored = {
        "key": key,
        "found": [[e.name, e.value] for e in of_images],
        "pieces": [[e.name, e.value] for e in of_crops],
    }
    return NearDuplicates(list(drops.values()), searches[0][2], stored)


def check_leaks(drops: Sequence[Dropped]) -> None:
    """Raises an error for training images that leak.

    Raises:
        DataError: There are any.
    """
    if drops:
        named = "; ".join(f"{drop.source}/{drop.name}: {drop.detail}" for drop in drops[:_EXAMPLES])
        more = f"; and {len(drops) - _EXAMPLES} more" if len(drops) > _EXAMPLES else ""
        raise DataError(
            f"{len(drops)} training images leak held-out images: {named}{more}; "
            "remove them, or add --drop-near-duplicates to leave them out",
            code="E-mix-leak",
        )


def pasted_leaks(source: Source, held_out: Mapping[str, str]) -> list[Dropped]:
    """Pasted images whose background or defect is a held-out image.

    Args:
        source: The pasted folder; its columns `ground` and `defect` name the images it was pasted from.
        held_out: Name of every held-out image by SHA-256.
    """
    drops = []
    for sample in source.samples:
        for column, role in (("ground", "background"), ("defect", "defect")):
            origin = sample.metadata.get(column)
            name = held_out.get(str(origin.get("sha256"))) if isinstance(origin, Mapping) else None
            if name is not None:
                drops.append(Dropped(source.name, sample.name, "held-out", f"its {role} is the held-out {name}"))
                break
    return drops


def identical_files(
    source: str, samples: Sequence[Sample], hashes: Mapping[str, str], held_out: Mapping[str, str]
) -> list[Dropped]:
    """Images that are, byte for byte, files of held-out images."""
    return [
        Dropped(source, sample.name, "held-out", f"is the file of the held-out {held_out[hashes[sample.name]]}")
        for sample in samples
        if hashes.get(sample.name) in held_out
    ]
