"""Everything a comparison works on: folders opened, real images divided, arms and cells laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.utility.arms import PASTED, Arm
from classify.utility.cells import Cell, Level, identity
from classify.utility.division import Division
from classify.utility.few_shot import drawn, level_of
from classify.utility.settings import Settings
from classify.utility.sources import MadeSet, fingerprint, pasted_of
from classify.utility.units import Square, Squares
from defects.sample import GOOD, Sample

__all__ = ["Bench", "Request"]

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
    def grounds(self) -> list[Sample]:
        """What defects are pasted into: good photographs, or good squares."""
        return self.good if self.squares is None else self.squares.grounds

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
