"""Everything a comparison works on: folders opened, real images divided, arms and trials laid out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augment.pasting.images import ImageReader
from augment.pasting.paster import METHODS, PastedImage
from classify.utility.design.crop_units import CropUnit, CropUnits, crop_notes, crop_units
from classify.utility.design.division import Division, divide, reject_one_class, reject_too_few, select_unit, with_good
from classify.utility.design.sources import (
    SyntheticSet,
    draw,
    filled,
    fingerprint,
    is_template,
    open_synthetic,
    pasted_images,
    paster_of,
    reject_test_images,
    subset_of,
)
from classify.utility.design.split_sets import (
    open_split_sets,
    pasted_from,
    reachable_pasted,
    reject_more_than_its_split,
    reject_pasted,
)
from classify.utility.design.trials import (
    CROPS,
    PASTED,
    Arm,
    FewShotSplit,
    Settings,
    Trial,
    arms_of,
    available_shots,
    identity,
    reachable,
    trials_of,
)
from defects.formats.dataset import open_dataset
from defects.images.decode import image_info
from defects.provenance import image_hashes
from defects.sample import GOOD, Sample
from engine.errors import UsageError

Pasted = Iterator[PastedImage]

_CODE = 1
"""Raised with every change that gives a trial another outcome: earlier results do not count then."""


@dataclass(frozen=True)
class Request:
    """What is requested, as the command line has it.

    Attributes:
        real: Folder of real images.
        synthetic: (name, folder) of each synthetic set; `{shots}` and `{seed}` in it stand for every few-shot split.
        pasted: A method of pasting, a folder of pasted images, or None for no such arm.
        ratios: Synthetic images per real defective image; 0 stands for the arm of real images.
        shots: Real defective images trained with; None for all.
        seeds: How many.
        settings: What all trials share; channels and crop as far as they were given.
    """

    real: Path
    synthetic: tuple[tuple[str, Path], ...]
    pasted: str | None
    ratios: tuple[float, ...]
    shots: tuple[int | None, ...]
    seeds: int
    settings: Settings

    def folders(self) -> dict[str, Path]:
        """Every folder that the synthetic sets stand for, by its name in a message."""
        splits = [FewShotSplit(count, seed) for count in self.shots for seed in range(self.seeds)]
        every = {filled(folder, split): name for name, folder in self.synthetic for split in splits}
        return {f"--synthetic {name}={folder}": folder for folder, name in every.items()}


@dataclass(frozen=True)
class Bench:
    """The comparison, laid out.

    Attributes:
        request: As given.
        settings: With channels, crop and evaluation unit as the images have them.
        real: All real images.
        hashes: SHA-256 of each image file by name.
        division: Test, validation and training images.
        synthetic: The synthetic sets from which all few-shot splits draw.
        split_sets: By name, those of which every few-shot split has its own.
        pasted: The folder of pasted images, if one was given.
        arms: All arms.
        trials: All trials that can be computed, in order.
        skipped: Why others cannot, a sentence each.
        notes: What the reader has to know, a sentence each.
        crops: The crops of the images, where they are the evaluation unit.
        why: The reason for the evaluation unit.
    """

    request: Request
    settings: Settings
    real: list[Sample]
    hashes: dict[str, str]
    division: Division
    synthetic: list[SyntheticSet]
    split_sets: dict[str, dict[FewShotSplit, SyntheticSet]]
    pasted: SyntheticSet | None
    arms: list[Arm]
    trials: list[Trial]
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    crops: CropUnits | None = None
    why: str = ""

    @property
    def scored(self) -> Division:
        """The images or crops that are scored."""
        return self.division if self.crops is None else self.crops.items

    @property
    def good(self) -> list[Sample]:
        """Good images for training."""
        return [sample for sample in self.division.train if sample.label == GOOD]

    @property
    def backgrounds(self) -> list[Sample]:
        """What defects are pasted into: good images, or good crops."""
        return self.good if self.crops is None else self.crops.backgrounds

    @property
    def defective(self) -> list[Sample]:
        """Training images with a defect."""
        return [sample for sample in self.division.train if sample.label != GOOD]

    def subset(self, split: FewShotSplit) -> list[Sample]:
        """The defective images of a few-shot split."""
        return subset_of(self.defective, split)

    def only(self, name: str) -> list[CropUnit] | None:
        """The crops of `train`, `val` or `test` that count; None where all of an image do."""
        return None if self.crops is None else list(vars(self.crops)[name])

    def counts(self, subset: Sequence[Sample]) -> dict[str, int]:
        """Number of real training images, for the results lines of a few-shot split."""
        if self.crops is None:
            return {"real_defective": len(subset), "real_good": len(self.good)}
        return {"real_defective": len(subset), "real_good_squares": len(self.crops.backgrounds)}

    def common(self, **more: Any) -> dict[str, Any]:
        """What all trials share, for their identity."""
        splits = {
            name: fingerprint([self.hashes[sample.name] for sample in samples], [sample.label for sample in samples])
            for name, samples in vars(self.division).items()
            if name != "notes"
        }
        return {"code": _CODE, "settings": self.settings.to_dict(), "data": splits, **more}

    def names(self, **more: Any) -> dict[Trial, str]:
        """The identity of every trial."""
        common = self.common(**more)
        shared = {each.name: each.fingerprint for each in self.synthetic}
        shared[PASTED] = str(self.request.pasted) if self.pasted is None else self.pasted.fingerprint
        own = {name: {at: each.fingerprint for at, each in sets.items()} for name, sets in self.split_sets.items()}

        def sources(trial: Trial) -> dict[str, str]:
            return shared | {name: sets[trial.split] for name, sets in own.items()}

        return {trial: identity(trial, common, sources(trial)) for trial in self.trials}

    @property
    def folders(self) -> list[SyntheticSet]:
        """Every folder of synthetic or pasted images that was opened."""
        given = [self.pasted] if self.pasted is not None else []
        return [*self.synthetic, *(each for sets in self.split_sets.values() for each in sets.values()), *given]

    def draw_source(self, name: str, trial: Trial, subset: Sequence[Sample]) -> tuple[SyntheticSet, NDArray[np.intp]]:
        """The folder from which a trial draws images of a source, and which of them it takes.

        Args:
            name: Of the source; not images that are pasted on the fly.
            trial: The trial.
            subset: The defective images of its few-shot split.
        """
        own = self.split_sets.get(name)
        folder = own[trial.split] if own else next(each for each in self.folders if each.name == name)
        at = np.arange(len(folder.samples))
        if name == PASTED:
            at = pasted_from(folder, subset, self.good, self.hashes)
        return folder, at[draw([folder.samples[index] for index in at], trial.count(len(subset)), trial.seed)]

    def paste(self, subset: Sequence[Sample], seed: int, count: int, reader: ImageReader | None = None) -> Pasted:
        """`count` images pasted on the fly from the images of a few-shot split; see `pasted_images`."""
        paster = paster_of(self.settings, self.request.pasted, subset, self.backgrounds, seed, reader)
        return pasted_images(paster, count)


def open_bench(request: Request) -> Bench:
    """Opens the folders and divides the images; nothing is computed yet.

    Raises:
        DataError: A folder is missing or invalid, or too few images are left.
        UsageError: The sets do not fit one another, or more is requested than there is.
    """
    real = open_dataset(request.real).samples
    reject_one_class(request.real, real, request.settings.eval_on)
    synthetic = [open_synthetic(name, folder) for name, folder in request.synthetic if not is_template(folder)]
    pasted = None
    if request.pasted is not None and request.pasted not in METHODS:
        folder = Path(request.pasted)
        if not folder.is_dir():
            raise UsageError(
                f"--pasted: {request.pasted!r} is neither one of {', '.join(METHODS)} nor a folder",
                code="E-utility-pasted",
            )
        pasted = open_synthetic(PASTED, folder)
    hashes = dict(zip((sample.name for sample in real), image_hashes(real), strict=True))
    division = divide(real, hashes, synthetic, request.settings)
    unit, why = select_unit(request.settings.eval_on, division)
    if unit != CROPS:
        division = with_good(division, request.settings)
    defective = sum(sample.label != GOOD for sample in division.train)
    shots = available_shots(request.shots, defective)
    split_sets = _split_sets(request, real, hashes, division, shots)
    every = [*synthetic, *(each for sets in split_sets.values() for each in sets.values())]
    settings = replace(_cropped(request.settings, every, real), eval_on=unit)
    crops = None
    if unit == CROPS:
        crops, settings = crop_units(division, hashes, settings)
    reject_too_few(division if crops is None else crops.items, unit)
    if pasted is not None:
        reject_pasted(pasted, division, hashes)
    arms = arms_of([name for name, _ in request.synthetic], pasted=request.pasted is not None)
    sizes = {each.name: len(each.samples) for each in synthetic}
    sizes |= {name: min(len(each.samples) for each in sets.values()) for name, sets in split_sets.items()}
    trials, skipped = reachable(trials_of(arms, request.ratios, shots, range(request.seeds)), sizes, defective)
    if pasted is not None:
        trials, more = reachable_pasted(trials, pasted, division, hashes)
        skipped += more
    if not any(trial.arm.sources for trial in trials):
        raise UsageError(
            f"nothing to compare is left: {skipped[0]}; give other --ratios, --shots or more images",
            code="E-utility-nothing-left",
        )
    shared = request.pasted in METHODS and None in shots and settings.mode == "frozen"
    notes = division.notes if crops is None else [*division.notes, *crop_notes(crops, why, shared=shared)]
    return Bench(
        request, settings, real, hashes, division, synthetic, split_sets, pasted, arms, trials, skipped, notes,
        crops, why,
    )  # fmt: skip


def _split_sets(
    request: Request, real: Sequence[Sample], hashes: Mapping[str, str], division: Division, shots: Sequence[int | None]
) -> dict[str, dict[FewShotSplit, SyntheticSet]]:
    """The sets of which every few-shot split has its own, none of which knows more than its split."""
    splits = [FewShotSplit(count, seed) for count in shots for seed in range(request.seeds)]
    found = {name: open_split_sets(name, folder, splits) for name, folder in request.synthetic if is_template(folder)}
    defective = [sample for sample in division.train if sample.label != GOOD]
    good = [sample for sample in division.train if sample.label == GOOD]
    for sets in found.values():
        for split, each in sets.items():
            reject_test_images(each, division.test, hashes)
            reject_more_than_its_split(each, subset_of(defective, split), good, real, hashes)
    return found


def _cropped(settings: Settings, synthetic: Sequence[SyntheticSet], real: Sequence[Sample]) -> Settings:
    """Crop and channels of the generators, where they are known and not given."""
    crop, channels = settings.crop, settings.channels
    origins = {each.root: each.provenance for each in synthetic if each.provenance is not None}
    if crop is None and origins:
        sides = {origin.crop: root for root, origin in origins.items()}
        if len(sides) > 1:
            listed = ", ".join(f"{value or 'the shorter side'} for {root}" for value, root in sides.items())
            raise UsageError(
                f"--synthetic: the generators were trained on different crops of an image ({listed}); give --crop",
                code="E-utility-crops-differ",
            )
        crop = next(iter(sides))
    if not channels:
        of_real = 1 if all(image_info(sample.image).channels < 3 for sample in real[:20]) else 3
        channels = min([of_real, *(origin.channels for origin in origins.values())])
    return replace(settings, crop=crop, channels=channels)
