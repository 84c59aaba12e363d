"""Synthetic sets of every few-shot split and folders of pasted images, none of which may show more than its split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classify.utility.design.division import Division
from classify.utility.design.sources import (
    SEED,
    SHOTS,
    SyntheticSet,
    filled,
    masks_from,
    open_synthetic,
    origins_of,
    subset_of,
)
from classify.utility.design.trials import PASTED, FewShotSplit, Trial, shots_name
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError

_LEAK = "E-utility-split-leak"


def open_split_sets(name: str, folder: Path, splits: Iterable[FewShotSplit]) -> dict[FewShotSplit, SyntheticSet]:
    """Opens the folder of every few-shot split.

    Raises:
        UsageError: Two splits would share a folder.
        DataError: One is missing or invalid, or holds no defective image.
    """
    sets: dict[FewShotSplit, SyntheticSet] = {}
    for split in splits:
        root = filled(folder, split)
        if any(root == other.root for other in sets.values()):
            raise UsageError(
                f"--synthetic {name}: {folder} is one folder for two few-shot splits; use {SHOTS} and {SEED}",
                code="E-utility-template",
            )
        sets[split] = open_synthetic(name, root)
    return sets


def reject_more_than_its_split(
    synthetic: SyntheticSet,
    subset: Sequence[Sample],
    good: Sequence[Sample],
    real: Sequence[Sample],
    hashes: Mapping[str, str],
) -> None:
    """Rejects a set whose provenance, backgrounds, images or masks include images outside its few-shot split.

    Args:
        synthetic: The set of the split.
        subset: The defective images of the split.
        good: Its good images.
        real: All real images.
        hashes: SHA-256 of each real image file by name.

    Raises:
        DataError: They do, or its generator was trained on something else.
    """
    inside = {hashes[sample.name] for sample in [*subset, *good]}
    others = {hashes[sample.name]: sample.name for sample in real if hashes[sample.name] not in inside}
    origin, trained = synthetic.provenance, synthetic.trained_on
    defective = [sample for sample in real if sample.label != GOOD]
    masks = {name for name in masks_from(synthetic, defective) if name is not None} - {s.name for s in subset}
    advice = "give it the folder that --export-splits writes for the split"
    for names, how in (
        (sorted(others[digest] for digest in trained if digest in others), "its generator was trained on"),
        (sorted(others[digest] for digest in origins_of(synthetic) if digest in others), "its backgrounds include"),
        (sorted({others[digest] for digest in synthetic.hashes if digest in others}), "it holds, byte for byte,"),
        (sorted(masks), "its images have the masks of"),
    ):
        if names:
            raise DataError(
                f"{synthetic.root}: {how} {len(names)} images outside its few-shot split, such as {names[0]}; {advice}",
                code=_LEAK,
            )
    if trained and not trained & {hashes[sample.name] for sample in subset}:
        raise DataError(
            f"{synthetic.root}: its generator was trained on no defective image of its few-shot split; {advice}",
            code=_LEAK,
        )
    if trained and origin is not None and (origin.defective or 0) > len(subset):
        raise DataError(
            f"{synthetic.root}: its generator was trained on {origin.defective} defective images, its few-shot split "
            f"has {len(subset)}; {advice}",
            code=_LEAK,
        )


def pasted_from(
    synthetic: SyntheticSet, defective: Sequence[Sample], good: Sequence[Sample], hashes: Mapping[str, str]
) -> NDArray[np.intp]:
    """Indices of the images of a pasted folder that are pasted from these images only."""
    known = {hashes[sample.name] for sample in [*defective, *good]}

    def fits(sample: Sample) -> bool:
        origins = [sample.metadata.get(column) for column in ("ground", "defect")]
        return all(origin["sha256"] in known for origin in origins if isinstance(origin, dict))

    return np.flatnonzero([fits(sample) for sample in synthetic.samples])


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
