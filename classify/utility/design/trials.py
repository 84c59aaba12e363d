"""The arms that are compared: what a classifier may learn from beside the real images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classify.utility.design.settings import ALL

REAL = "real"
CLASSICAL = "classical"
PASTED = "pasted"


@dataclass(frozen=True)
class Arm:
    """One way to make a training set.

    Attributes:
        classical: Whether every training image is varied by the preset of classical augmentation.
        made: Sources of further images, `pasted` or names of synthetic sets; they share the ratio evenly.
    """

    classical: bool = False
    made: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As in `real+classical+pasted`."""
        return "+".join((REAL, *((CLASSICAL,) if self.classical else ()), *self.made))


def arms_of(sources: Sequence[str], *, pasted: bool) -> list[Arm]:
    """All arms, those without made images first.

    >>> [arm.name for arm in arms_of(["gan"], pasted=True)][2:5]
    ['real+pasted', 'real+gan', 'real+classical+pasted']

    Args:
        sources: Names of the synthetic sets.
        pasted: Whether there are pasted images.
    """
    made = [*([PASTED] if pasted else []), *sources]
    arms = [Arm(), Arm(classical=True)]
    arms += [Arm(made=(name,)) for name in made]
    arms += [Arm(classical=True, made=(name,)) for name in made]
    if len(made) > 1:
        arms.append(Arm(classical=True, made=tuple(made)))
    return arms


def references_of(arm: Arm, arms: Sequence[Arm]) -> list[Arm]:
    """What an arm is compared with: the same without made images first, then real alone, then pasted images instead."""
    wanted = [Arm(classical=arm.classical), Arm()]
    if arm.made:
        wanted.append(Arm(classical=arm.classical, made=(PASTED,)))
    found: list[Arm] = []
    for other in wanted:
        if other != arm and other in arms and other not in found:
            found.append(other)
    return found


Level = tuple[int | None, int]
"""How many real defective images, None for all, and the seed that chooses them."""


def level_name(shots: int | None) -> str:
    """A number of real defective images as a word."""
    return ALL if shots is None else str(shots)


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        arm: What is learnt from.
        ratio: Made images per real defective image; 0 for an arm without.
        shots: Real defective images; None for all.
        seed: Of the few-shot subset, the draw, the weights and the order.
    """

    arm: Arm
    ratio: float
    shots: int | None
    seed: int

    @property
    def level(self) -> str:
        """The few-shot level as a word."""
        return level_name(self.shots)

    @property
    def at(self) -> Level:
        """The level and the seed that chooses its images."""
        return self.shots, self.seed

    def to_dict(self) -> dict[str, Any]:
        """For a results line."""
        return {"arm": self.arm.name, "ratio": self.ratio, "shots": self.level, "seed": self.seed}


def cells_of(
    arms: Sequence[Arm], ratios: Sequence[float], shots: Sequence[int | None], seeds: Sequence[int]
) -> list[Cell]:
    """All cells, level by level and seed by seed; a made arm without images is the arm it is compared with."""
    return [
        Cell(arm, ratio, count, seed)
        for count in shots
        for seed in seeds
        for arm in arms
        for ratio in ([value for value in ratios if value] if arm.made else [0.0])
    ]


def identity(cell: Cell, common: Mapping[str, Any], made: Mapping[str, str]) -> str:
    """The name of a cell: a hash of the cell, the settings and data all cells share, and the images of its sources.

    Args:
        cell: The cell.
        common: Settings, data and code that all share.
        made: Fingerprint of each source.
    """
    content = {**cell.to_dict(), "common": dict(common), "made": {name: made[name] for name in cell.arm.made}}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
