"""Which cells can be computed: a level needs so many real images, a ratio so many made ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from classify.utility.arms import PASTED, Arm
from classify.utility.cells import Cell, Level
from classify.utility.division import Division
from classify.utility.few_shot import level_of
from classify.utility.sources import MadeSet, pasted_of
from defects.sample import GOOD
from engine.errors import UsageError

__all__ = ["levels", "reachable", "reachable_pasted"]


def levels(shots: Sequence[int | None], defective: int) -> list[int | None]:
    """The levels there are; a count of all defective images is `all`, if that is asked for.

    Raises:
        UsageError: There are fewer defective images.
    """
    for count in shots:
        if count is not None and count > defective:
            raise UsageError(f"--shots: {count} defective images, but {defective} are left for training; lower it")
    return [count for count in shots if count != defective or None not in shots]


def reachable(cells: Sequence[Cell], sizes: Mapping[str, int], defective: int) -> tuple[list[Cell], list[str]]:
    """Cells that show at least one made image of each source and as many as it has, and a sentence for the others.

    Args:
        cells: All of them.
        sizes: Images of each source; one that makes as many as are needed is not in it.
        defective: Real defective images for training.
    """
    kept: list[Cell] = []
    none: dict[tuple[str, str, float], None] = {}
    missing: dict[tuple[str, str, float], tuple[int, int]] = {}
    for cell in cells:
        each = cell.ratio * (cell.shots or defective) / max(1, len(cell.arm.made))
        if cell.arm.made and not round(each):
            none[cell.arm.name, cell.level, cell.ratio] = None
            continue
        short = [name for name in cell.arm.made if name in sizes and sizes[name] < round(each)]
        if not short:
            kept.append(cell)
        else:
            key = (short[0], cell.level, cell.ratio)
            missing.setdefault(key, (round(each), sizes[short[0]]))
    return kept, [
        *(
            f"{arm}, ratio {ratio:g} at {level} defective images: not one made image: left out"
            for arm, level, ratio in none
        ),
        *(
            f"ratio {ratio:g} at {level} defective images needs {need} images of {name}, which has {have}: left out"
            for (name, level, ratio), (need, have) in missing.items()
        ),
    ]


def reachable_pasted(
    cells: Sequence[Cell], pasted: MadeSet, division: Division, hashes: dict[str, str]
) -> tuple[list[Cell], list[str]]:
    """Cells for which the folder holds enough images made of their own training images, whatever the seed."""
    good = [sample for sample in division.train if sample.label == GOOD]
    defective = [sample for sample in division.train if sample.label != GOOD]
    own: dict[Level, int] = {}
    lacking: dict[tuple[str, float, Arm], int] = {}
    for cell in cells:
        chosen = level_of(defective, cell.at)
        if cell.at not in own:
            own[cell.at] = len(pasted_of(pasted, chosen, good, hashes))
        if PASTED in cell.arm.made and own[cell.at] < round(cell.ratio * len(chosen) / len(cell.arm.made)):
            lacking[cell.level, cell.ratio, cell.arm] = own[cell.at]
    kept = [cell for cell in cells if (cell.level, cell.ratio, cell.arm) not in lacking]
    return kept, [
        f"{arm.name}, ratio {ratio:g} at {level} defective images: {pasted.root} holds {have} images made of a level's "
        "own images only: left out; a method such as --pasted alpha makes as many as are needed"
        for (level, ratio, arm), have in lacking.items()
    ]
