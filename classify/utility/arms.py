"""The arms that are compared: what a classifier may learn from beside the real images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CLASSICAL", "PASTED", "REAL", "Arm", "arms_of", "references_of"]

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
