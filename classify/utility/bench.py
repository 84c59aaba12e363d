"""Everything a comparison works on: folders opened, real images divided, arms and cells laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from augment.mixer.seen import image_hashes
from augment.paste.made import METHODS
from classify.utility.arms import PASTED, Arm, arms_of
from classify.utility.cells import Cell, cells_of, identity
from classify.utility.division import Division, divide, refuse_too_few, with_good
from classify.utility.reach import levels, reachable, reachable_pasted
from classify.utility.refusals import refuse_one_class, refuse_pasted
from classify.utility.settings import SQUARES, Settings
from classify.utility.sources import MadeSet, fingerprint, open_made
from classify.utility.units import Square, Squares, cover, squares_notes, unit_of
from defects.images import image_info
from defects.layouts.dataset import open_dataset
from defects.sample import GOOD, Sample
from engine.errors import UsageError

__all__ = ["Bench", "Request", "open_bench"]

_CODE = 1
"""Raised with every change that gives a cell another outcome: kept cells of before do not count."""


@dataclass(frozen=True)
class Request:
    """What is asked for, as the command was told.

    Attributes:
        real: Folder of real images.
        synthetic: (name, folder) of each synthetic set.
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
        made: The synthetic sets.
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
    def grounds(self) -> list[Sample]:
        """What defects are pasted into: good photographs, or good squares."""
        return self.good if self.squares is None else self.squares.grounds

    @property
    def defective(self) -> list[Sample]:
        """Training images with a defect."""
        return [sample for sample in self.division.train if sample.label != GOOD]

    def only(self, name: str) -> list[Square] | None:
        """The squares of `train`, `val` or `test` that count; None where all of a photograph's do."""
        return None if self.squares is None else list(vars(self.squares)[name])

    def counts(self, chosen: Sequence[Sample]) -> dict[str, int]:
        """How many real images a level learns from, for its results lines."""
        if self.squares is None:
            return {"real_defective": len(chosen), "real_good": len(self.good)}
        return {"real_defective": len(chosen), "real_good_squares": len(self.squares.grounds)}

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
        made = {each.name: fingerprint(each.hashes, [s.label for s in each.samples]) for each in self.made}
        made[PASTED] = str(self.request.pasted)
        if self.pasted is not None:
            made[PASTED] = fingerprint(self.pasted.hashes, [sample.label for sample in self.pasted.samples])
        return {cell: identity(cell, common, made) for cell in self.cells}


def open_bench(request: Request) -> Bench:
    """Opens the folders and divides the images; nothing is computed yet.

    Raises:
        DataError: A folder is missing or faulty, or too few images are left.
        UsageError: The sets do not fit one another, or more is asked for than there is.
    """
    real = open_dataset(request.real).samples
    refuse_one_class(request.real, real, request.settings.unit)
    made = [open_made(name, folder) for name, folder in request.synthetic]
    pasted = None
    if request.pasted is not None and request.pasted not in METHODS:
        folder = Path(request.pasted)
        if not folder.is_dir():
            raise UsageError(f"--pasted: {request.pasted!r} is neither one of {', '.join(METHODS)} nor a folder")
        pasted = open_made(PASTED, folder)
    hashes = image_hashes(real)
    settings = _framed(request.settings, made, real)
    division = divide(real, hashes, made, settings)
    unit, why = unit_of(settings.unit, division)
    settings = replace(settings, unit=unit)
    squares = None
    if unit == SQUARES:
        squares, settings = cover(division, hashes, settings)
    else:
        division = with_good(division, settings)
    refuse_too_few(division if squares is None else squares.items, unit)
    if pasted is not None:
        refuse_pasted(pasted, division, hashes)
    arms = arms_of([each.name for each in made], pasted=request.pasted is not None)
    defective = sum(sample.label != GOOD for sample in division.train)
    shots = levels(request.shots, defective)
    cells = cells_of(arms, request.ratios, shots, range(request.seeds))
    sizes = {each.name: len(each.samples) for each in made}
    cells, skipped = reachable(cells, sizes, defective)
    if pasted is not None:
        cells, more = reachable_pasted(cells, pasted, division, hashes)
        skipped += more
    if not any(cell.arm.made for cell in cells):
        raise UsageError(f"nothing to compare is left: {skipped[0]}; give other --ratios, --shots or more images")
    shared = request.pasted in METHODS and None in shots and settings.mode == "frozen"
    notes = [*division.notes, *squares_notes(squares, why, shared=shared)]
    return Bench(request, settings, real, hashes, division, made, pasted, arms, cells, skipped, notes, squares, why)


def _framed(settings: Settings, made: Sequence[MadeSet], real: Sequence[Sample]) -> Settings:
    """Window and channels of the generators, where they are known and not given."""
    window, channels = settings.window, settings.channels
    origins = {each.name: each.provenance for each in made if each.provenance is not None}
    if window is None and origins:
        windows = {origin.window: name for name, origin in origins.items()}
        if len(windows) > 1:
            shown = ", ".join(f"{value or 'the shorter side'} for {name}" for value, name in windows.items())
            raise UsageError(
                f"--synthetic: the generators saw different windows of a photograph ({shown}); give --window"
            )
        window = next(iter(windows))
    if not channels:
        of_real = 1 if all(image_info(sample.image).channels < 3 for sample in real[:20]) else 3
        channels = min([of_real, *(origin.channels for origin in origins.values())])
    return replace(settings, window=window, channels=channels)
