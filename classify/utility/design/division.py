"""Which real images are tested, validated and trained on, and which defective ones a few-shot split has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from classify.utility.design.sources import SyntheticSet, pasted_from, reject_test_images
from classify.utility.design.trials import CROPS, IMAGES, PASTED, FewShotSplit, Settings, Trial, shots_name
from defects.sample import GOOD, Sample
from defects.splits import split
from engine.errors import DataError
from engine.seeding import numpy_generator

T = TypeVar("T")

_LEAST_GROUPS = 2
_ONE_CLASS = "E-utility-one-class"


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


def reject_pasted(pasted: SyntheticSet, division: Division, hashes: Mapping[str, str]) -> None:
    """Rejects a folder of pasted images that shows a held-out image, or does not list its origins.

    Raises:
        DataError: It does.
    """
    held = {hashes[sample.name]: sample.name for sample in [*division.val, *division.test]}
    for sample in pasted.samples:
        for column in ("ground", "defect"):
            origin = sample.metadata.get(column)
            digest = origin.get("sha256") if isinstance(origin, dict) else None
            if digest in held:
                raise DataError(
                    f"{pasted.root}: {sample.name} is pasted from the held-out {held[digest]}; "
                    "give a method such as --pasted alpha, which takes training images only",
                    code="E-utility-pasted-leak",
                )
        if not isinstance(sample.metadata.get("ground"), dict):
            raise DataError(
                f"{pasted.root}: {sample.name} does not list its origins (columns `ground` and `defect`); "
                "give a folder of mix-defects paste, or a method such as --pasted alpha",
                code="E-utility-pasted-origin",
            )


def shot_order(defective: Sequence[Sample], seed: int) -> list[Sample]:
    """The defective images in the order in which few-shot splits take them: a larger split holds the smaller ones.

    Classes take turns, and within a class its groups do: five images of one group say less than one each of five.

    Args:
        defective: Of the training split; their order does not matter.
        seed: Another seed, another order.
    """
    rng = numpy_generator(seed, "utility", "shots")
    classes: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in sorted(defective, key=lambda sample: sample.name):
        classes[sample.label][sample.part].append(sample)
    queues = []
    for name in _shuffled(sorted(classes), rng):
        groups = [_shuffled(classes[name][group], rng) for group in _shuffled(sorted(classes[name]), rng)]
        queues.append(_in_turns(groups))
    return _in_turns(queues)


def subset_of(defective: Sequence[Sample], split: FewShotSplit) -> list[Sample]:
    """The defective images of a few-shot split, of those for training."""
    return shot_order(defective, split.seed)[: split.shots]


def draw(samples: Sequence[Sample], count: int, seed: int) -> NDArray[np.intp]:
    """Indices of `count` images of a source, each at most once; a larger count holds the smaller one.

    Where a source has good images too, good and defective ones have their shares.

    Args:
        samples: Of the source.
        count: At most as many as there are.
        seed: Another seed, another draw.
    """
    order: list[NDArray[np.intp]] = []
    places: list[NDArray[np.float64]] = []
    for good in (False, True):
        own = np.flatnonzero([(sample.label == GOOD) == good for sample in samples])
        order.append(numpy_generator(seed, "utility", "draw", int(good)).permutation(own))
        places.append((np.arange(len(own)) + 0.5) / max(1, len(own)))
    return np.concatenate(order)[np.argsort(np.concatenate(places), kind="stable")][:count]


def _shuffled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    return [items[index] for index in rng.permutation(len(items))]


def _in_turns(queues: Sequence[Sequence[T]]) -> list[T]:
    """One of each, again and again, until all are empty."""
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def reachable_pasted(
    trials: Sequence[Trial], pasted: SyntheticSet, division: Division, hashes: Mapping[str, str]
) -> tuple[list[Trial], list[str]]:
    """Trials for which the folder holds enough images pasted from the images of every seed, and a sentence else."""
    good = [sample for sample in division.train if sample.label == GOOD]
    defective = [sample for sample in division.train if sample.label != GOOD]
    subsets = {split: subset_of(defective, split) for split in dict.fromkeys(trial.split for trial in trials)}
    own = {split: len(pasted_from(pasted, subset, good, hashes)) for split, subset in subsets.items()}
    lacking = {
        (trial.shots, trial.ratio, trial.arm): own[trial.split]
        for trial in trials
        if PASTED in trial.arm.sources and own[trial.split] < trial.count(len(subsets[trial.split]))
    }
    return [trial for trial in trials if (trial.shots, trial.ratio, trial.arm) not in lacking], [
        f"{arm.name}, ratio {ratio:g} at {shots_name(shots)} defective images: {pasted.root} holds {count} images "
        "pasted from a split's own images only: left out; a method such as --pasted alpha pastes any number"
        for (shots, ratio, arm), count in lacking.items()
    ]
