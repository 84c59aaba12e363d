"""Which real images are tested on, which choose the hyper-parameters, and which are trained with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from classify.utility.design.settings import PHOTOGRAPHS, SQUARES, Settings
from classify.utility.design.sources import MadeSet, refuse_test_images
from defects.sample import GOOD, Sample
from defects.splits import split
from engine.errors import DataError
from engine.seeding import numpy_generator

_LEAST_PARTS = 2


@dataclass(frozen=True)
class Division:
    """The real images, no part of which is in two of these.

    Attributes:
        train: To learn from.
        val: To choose hyper-parameters, thresholds and ratios by.
        test: Looked at once, by every cell.
        notes: What the reader has to know of the division, a sentence each.
    """

    train: list[Sample]
    val: list[Sample]
    test: list[Sample]
    notes: list[str] = field(default_factory=list)


def divide(real: Sequence[Sample], hashes: Mapping[str, str], made: Sequence[MadeSet], settings: Settings) -> Division:
    """Divides the photographs by parts; the generators' own held-out ones are tested on where they are known.

    Args:
        real: All of them.
        hashes: SHA-256 of each image file by name.
        made: The synthetic sets.
        settings: Fractions and seed.

    Raises:
        DataError: A set knows of a test image.
    """
    notes: list[str] = []
    allowed = _testable(real, hashes, made)
    if allowed is None:
        fractions = {"train": 1 - settings.test_fraction, "test": settings.test_fraction}
        divided = split(real, fractions, settings.split_seed)
        test, rest = divided["test"], divided["train"]
        if made:
            notes.append(
                "no synthetic set says which images its generator was trained on (generator.json): "
                "whether the test images are new to it cannot be checked"
            )
    else:
        test = [sample for sample in real if sample.name in allowed]
        parts = {sample.part for sample in test}
        rest = [sample for sample in real if sample.part not in parts]
        left = len(real) - len(test) - len(rest)
        if left:
            notes.append(f"{left} real images show the same part as a test image and are left out")
    for each in made:
        refuse_test_images(each, test, hashes)
    fractions = {"train": 1 - settings.val_fraction, "val": settings.val_fraction}
    divided = split(rest, fractions, settings.split_seed)
    train, val = divided["train"], divided["val"]
    seen = [each.name for each in made if each.provenance and _any_of(val, hashes, each.provenance.train_sha256)]
    if seen:
        notes.append(
            f"validation images are training images of the generator of {', '.join(seen)}: what validation chooses "
            "may lean towards it; the test images are new to it"
        )
    return Division(train, val, test, notes)


def with_good(division: Division, settings: Settings) -> Division:
    """The same with as many good training photographs as are asked for.

    Raises:
        DataError: There are fewer.
    """
    if settings.good is None:
        return division
    good = [sample for sample in division.train if sample.label == GOOD]
    count = good_limit(settings.good, len(good), "images")
    kept = set(numpy_generator(settings.split_seed, "utility", "good").permutation(len(good))[:count])
    chosen = {sample.name for index, sample in enumerate(good) if index in kept}
    train = [sample for sample in division.train if sample.label != GOOD or sample.name in chosen]
    return replace(division, train=train)


def good_limit(asked: int, there: int, what: str) -> int:
    """The number asked for.

    Raises:
        DataError: There are fewer.
    """
    if asked > there:
        raise DataError(f"--good {asked}: there are {there} good training {what}; lower it")
    return asked


def refuse_too_few(division: Division, unit: str) -> None:
    """Refuses a part that cannot be scored or learnt from.

    Args:
        division: Of what is scored.
        unit: What that is.

    Raises:
        DataError: One has fewer than two parts with a defect, or without.
    """
    for name, samples in (("test", division.test), ("validation", division.val), ("training", division.train)):
        parts = Counter(defective for _, defective in {(sample.part, sample.label != GOOD) for sample in samples})
        if parts[True] >= _LEAST_PARTS and parts[False] >= _LEAST_PARTS:
            continue
        if unit == PHOTOGRAPHS:
            raise DataError(
                f"{name} images: {parts[True]} parts with a defect and {parts[False]} without are left, fewer than "
                f"{_LEAST_PARTS} of each; give more real images, --unit {SQUARES}, or synthetic sets whose generators "
                "held out more"
            )
        raise DataError(
            f"{name} squares: {parts[True]} parts show a defective one and {parts[False]} a good one, fewer than "
            f"{_LEAST_PARTS} of each; give more real images, another --window, or synthetic sets whose generators held "
            "out more"
        )


def _testable(real: Sequence[Sample], hashes: Mapping[str, str], made: Sequence[MadeSet]) -> set[str] | None:
    """Names of the real images that no generator has seen, nor any image of the same part; None where none says."""
    told = [each for each in made if each.provenance is not None and each.provenance.train_sha256]
    if not told:
        return None
    allowed = {sample.name for sample in real}
    for each in told:
        assert each.provenance is not None
        seen = each.provenance.train_sha256
        parts = {sample.part for sample in real if hashes[sample.name] in seen}
        named = set(each.provenance.test) & {sample.name for sample in real}
        if not named:
            named = {sample.name for sample in real if hashes[sample.name] not in seen}
        if not parts:
            raise DataError(
                f"{each.root}: none of the real images is one its generator was trained on; "
                "give the folder it was trained on as REAL"
            )
        leaked = sorted(sample.name for sample in real if sample.name in named and hashes[sample.name] in seen)
        if leaked:
            raise DataError(
                f"{each.root}: its generator.json names {len(leaked)} test images that it was trained on, such as "
                f"{leaked[0]}; train it again without them"
            )
        allowed &= {sample.name for sample in real if sample.name in named and sample.part not in parts}
    return allowed


def _any_of(samples: Sequence[Sample], hashes: Mapping[str, str], seen: frozenset[str]) -> bool:
    return any(hashes[sample.name] in seen for sample in samples)


def refuse_one_class(root: Path, real: Sequence[Sample], unit: str) -> None:
    """Refuses photographs that are all alike; squares of defective ones are not.

    Raises:
        DataError: They are, or it is not known which squares are defective.
    """
    defective = [sample for sample in real if sample.label != GOOD]
    blind = sum(not sample.has_pixels for sample in defective)
    if not defective:
        raise DataError(f"{root}: all {len(real)} images are good; give both good and defective ones")
    if blind and unit == SQUARES:
        raise DataError(
            f"{root}: {blind} defective images have no mask, so that it is not known which of their squares "
            f"are defective; give masks, or --unit {PHOTOGRAPHS}"
        )
    if len(defective) == len(real) and (unit == PHOTOGRAPHS or blind):
        more = f"; give masks with them (--unit {SQUARES})" if blind else f", or --unit {SQUARES}"
        raise DataError(f"{root}: all {len(real)} images are defective; give both good and defective ones{more}")


def refuse_pasted(pasted: MadeSet, division: Division, hashes: Mapping[str, str]) -> None:
    """Refuses a folder of pasted images that shows a held-out photograph, or does not say what it shows.

    Raises:
        DataError: It does.
    """
    held = {hashes[sample.name]: sample.name for sample in [*division.val, *division.test]}
    for sample in pasted.samples:
        for part in ("ground", "defect"):
            origin = sample.metadata.get(part)
            digest = origin.get("sha256") if isinstance(origin, dict) else None
            if digest in held:
                raise DataError(
                    f"{pasted.root}: {sample.name} is pasted from the held-out {held[digest]}; "
                    "give a method such as --pasted alpha, which takes training images only"
                )
        if not isinstance(sample.metadata.get("ground"), dict):
            raise DataError(
                f"{pasted.root}: {sample.name} does not say what it is pasted from (columns ground and defect); "
                "give a folder of mix-defects paste, or a method such as --pasted alpha"
            )
