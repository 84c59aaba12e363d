"""Everything a comparison works on: folders opened, real images divided, arms and cells laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augment.mixing.leak_check import image_hashes
from augment.pasting.paster import METHODS
from classify.utility.design.division import (
    Division,
    divide,
    refuse_one_class,
    refuse_pasted,
    refuse_too_few,
    with_good,
)
from classify.utility.design.few_shot import drawn, level_of, levels, reachable, reachable_pasted
from classify.utility.design.few_shot_splits import is_template, open_levels, refuse_more_than_its_level
from classify.utility.design.settings import SQUARES, Settings
from classify.utility.design.sources import MadeSet, fingerprint, open_made, pasted_of, refuse_test_images
from classify.utility.design.trials import PASTED, Arm, Cell, Level, arms_of, cells_of, identity
from classify.utility.design.units import Square, Squares, cover, squares_notes, unit_of
from defects.formats.dataset import open_dataset
from defects.images.header import image_info
from defects.sample import GOOD, Sample
from engine.errors import UsageError

_CODE = 1
"""Raised with every change that gives a cell another outcome: kept cells of before do not count."""


@dataclass(frozen=True)
class Request:
    """What is asked for, as the command was told.

    Attributes:
        real: Folder of real images.
        synthetic: (name, folder) of each synthetic set; `{shots}` and `{seed}` in it stand for every level's own.
        pasted: A method of pasting, a folder of pasted images, or None for no such arm.
        ratios: Made images per real defective image; 0 stands for the arm without.
        shots: Real defective images trained with; None for all.
        seeds: How many.
        settings: What all cells share; channels and window as far as they were given.
    """

    real: Path
    synthetic: tuple[tuple[str, Path], ...]
    pasted: str | None
    ratios: tuple[float, ...]
    shots: tuple[int | None, ...]
    seeds: int
    settings: Settings


@dataclass(frozen=True)
class Bench:
    """The comparison, laid out.

    Attributes:
        request: As told.
        settings: With channels, window and unit as the images have them.
        real: All real images.
        hashes: SHA-256 of each image file by name.
        division: Test, validation and training photographs.
        made: The synthetic sets of which all levels draw.
        own: Those of which every level and seed has its own, by name.
        pasted: The folder of pasted images, if one was given.
        arms: All arms.
        cells: All cells that can be computed, in order.
        skipped: Why others cannot, a sentence each.
        notes: What the reader has to know, a sentence each.
        squares: Their squares, where these are what is scored.
        why: Why the unit is what it is.
    """

    request: Request
    settings: Settings
    real: list[Sample]
    hashes: dict[str, str]
    division: Division
    made: list[MadeSet]
    own: dict[str, dict[Level, MadeSet]]
    pasted: MadeSet | None
    arms: list[Arm]
    cells: list[Cell]
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    squares: Squares | None = None
    why: str = ""

    @property
    def scored(self) -> Division:
        """The photographs or squares that are scored."""
        return self.division if self.squares is None else self.squares.items

    @property
    def good(self) -> list[Sample]:
        """Good photographs for training."""
        return [sample for sample in self.division.train if sample.label == GOOD]

    @property
    def background_stats(self) -> list[Sample]:
        """What defects are pasted into: good photographs, or good squares."""
        return self.good if self.squares is None else self.squares.background_stats

    @property
    def defective(self) -> list[Sample]:
        """Training images with a defect."""
        return [sample for sample in self.division.train if sample.label != GOOD]

    def chosen(self, level: Level) -> list[Sample]:
        """The defective photographs that a level has."""
        return level_of(self.defective, level)

    def only(self, name: str) -> list[Square] | None:
        """The squares of `train`, `val` or `test` that count; None where all of a photograph's do."""
        return None if self.squares is None else list(vars(self.squares)[name])

    def counts(self, chosen: Sequence[Sample]) -> dict[str, int]:
        """How many real images a level learns from, for its results lines."""
        if self.squares is None:
            return {"real_defective": len(chosen), "real_good": len(self.good)}
        return {"real_defective": len(chosen), "real_good_squares": len(self.squares.background_stats)}

    def common(self, **more: Any) -> dict[str, Any]:
        """What all cells share, for their identity."""
        parts = {
            name: fingerprint([self.hashes[sample.name] for sample in samples], [sample.label for sample in samples])
            for name, samples in vars(self.division).items()
            if name != "notes"
        }
        return {"code": _CODE, "settings": self.settings.to_dict(), "data": parts, **more}

    def names(self, **more: Any) -> dict[Cell, str]:
        """The identity of every cell."""
        common = self.common(**more)
        made = {each.name: each.fingerprint for each in self.made}
        made[PASTED] = str(self.request.pasted) if self.pasted is None else self.pasted.fingerprint
        own = {name: {level: each.fingerprint for level, each in sets.items()} for name, sets in self.own.items()}

        def known(cell: Cell) -> dict[str, str]:
            return made | {name: sets[cell.at] for name, sets in own.items()}

        return {cell: identity(cell, common, known(cell)) for cell in self.cells}

    @property
    def folders(self) -> list[MadeSet]:
        """Everything made that was opened."""
        given = [self.pasted] if self.pasted is not None else []
        return [*self.made, *(made for sets in self.own.values() for made in sets.values()), *given]

    def taken(self, name: str, cell: Cell, chosen: Sequence[Sample], count: int) -> tuple[MadeSet, NDArray[np.intp]]:
        """The folder a cell draws images of a source from, and which of them it takes.

        Args:
            name: Of the source; not pasted images that are made as they are needed.
            cell: The cell.
            chosen: The defective photographs of its level.
            count: How many it takes.
        """
        own = self.own.get(name)
        made = own[cell.at] if own else next(each for each in self.folders if each.name == name)
        at = np.arange(len(made.samples))
        if name == PASTED:
            at = pasted_of(made, chosen, self.good, self.hashes)
        return made, at[drawn([made.samples[index] for index in at], count, cell.seed)]


def open_bench(request: Request) -> Bench:
    """Opens the folders and divides the images; nothing is computed yet.

    Raises:
        DataError: A folder is missing or faulty, or too few images are left.
        UsageError: The sets do not fit one another, or more is asked for than there is.
    """
    real = open_dataset(request.real).samples
    refuse_one_class(request.real, real, request.settings.unit)
    made = [open_made(name, folder) for name, folder in request.synthetic if not is_template(folder)]
    pasted = None
    if request.pasted is not None and request.pasted not in METHODS:
        folder = Path(request.pasted)
        if not folder.is_dir():
            raise UsageError(f"--pasted: {request.pasted!r} is neither one of {', '.join(METHODS)} nor a folder")
        pasted = open_made(PASTED, folder)
    hashes = image_hashes(real)
    division = divide(real, hashes, made, request.settings)
    unit, why = unit_of(request.settings.unit, division)
    if unit != SQUARES:
        division = with_good(division, request.settings)
    defective = sum(sample.label != GOOD for sample in division.train)
    shots = levels(request.shots, defective)
    own = _own_sets(request, real, hashes, division, shots)
    settings = _framed(request.settings, [*made, *(each for sets in own.values() for each in sets.values())], real)
    settings = replace(settings, unit=unit)
    squares = None
    if unit == SQUARES:
        squares, settings = cover(division, hashes, settings)
    refuse_too_few(division if squares is None else squares.items, unit)
    if pasted is not None:
        refuse_pasted(pasted, division, hashes)
    arms = arms_of([name for name, _ in request.synthetic], pasted=request.pasted is not None)
    cells = cells_of(arms, request.ratios, shots, range(request.seeds))
    sizes = {each.name: len(each.samples) for each in made}
    sizes |= {name: min(len(each.samples) for each in sets.values()) for name, sets in own.items()}
    cells, skipped = reachable(cells, sizes, defective)
    if pasted is not None:
        cells, more = reachable_pasted(cells, pasted, division, hashes)
        skipped += more
    if not any(cell.arm.made for cell in cells):
        raise UsageError(f"nothing to compare is left: {skipped[0]}; give other --ratios, --shots or more images")
    shared = request.pasted in METHODS and None in shots and settings.mode == "frozen"
    notes = [*division.notes, *squares_notes(squares, why, shared=shared)]
    return Bench(
        request, settings, real, hashes, division, made, own, pasted, arms, cells, skipped, notes, squares, why
    )


def _own_sets(
    request: Request,
    real: Sequence[Sample],
    hashes: dict[str, str],
    division: Division,
    shots: Sequence[int | None],
) -> dict[str, dict[Level, MadeSet]]:
    """The sets of which every level and seed has its own, none of which knows more than its level."""
    wanted = [(count, seed) for count in shots for seed in range(request.seeds)]
    found = {name: open_levels(name, folder, wanted) for name, folder in request.synthetic if is_template(folder)}
    defective = [sample for sample in division.train if sample.label != GOOD]
    good = [sample for sample in division.train if sample.label == GOOD]
    for sets in found.values():
        for level, made in sets.items():
            refuse_test_images(made, division.test, hashes)
            refuse_more_than_its_level(made, level_of(defective, level), good, real, hashes)
    return found


def _framed(settings: Settings, made: Sequence[MadeSet], real: Sequence[Sample]) -> Settings:
    """Window and channels of the generators, where they are known and not given."""
    window, channels = settings.window, settings.channels
    origins = {each.root: each.provenance for each in made if each.provenance is not None}
    if window is None and origins:
        windows = {origin.crop: root for root, origin in origins.items()}
        if len(windows) > 1:
            shown = ", ".join(f"{value or 'the shorter side'} for {root}" for value, root in windows.items())
            raise UsageError(
                f"--synthetic: the generators saw different windows of a photograph ({shown}); give --window"
            )
        window = next(iter(windows))
    if not channels:
        of_real = 1 if all(image_info(sample.image).channels < 3 for sample in real[:20]) else 3
        channels = min([of_real, *(origin.channels for origin in origins.values())])
    return replace(settings, window=window, channels=channels)
