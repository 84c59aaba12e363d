"""From paired differences to a verdict: `helps`, `hurts` or `no evidence`.

An arm helps when the 95 % interval of its mean gain lies above 0 and the signed-rank test over all levels and seeds,
corrected by Holm over the arms, is below 0.05. Five seeds of one level cannot reach that (0.0625 is the least two-sided
p of five pairs), so the test pools the levels; a level's verdict asks for its own interval and the pooled test.
Levels of one seed hold one another and share a test, so the pooled pairs are not independent: the interval, which draws
a seed with all its levels, is the stricter of the two conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from classify.utility.analysis.statistics import Difference, Resamples, difference, holm
from classify.utility.analysis.table import Entry, Table
from classify.utility.design.trials import Arm, references_of

HELPS, HURTS, NO_EVIDENCE = "helps", "hurts", "no evidence"
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class LevelComparison:
    """An arm against another at one few-shot level.

    Attributes:
        level: The level as a word.
        arm: The entry at the ratio that validation prefers.
        other: The same of the other arm.
        gain: Arm less other.
        verdict: One of the three.
        use_none: Whether validation prefers the other arm: no made image at all.
    """

    level: str
    arm: Entry
    other: Entry
    gain: Difference
    verdict: str
    use_none: bool


@dataclass(frozen=True)
class Comparison:
    """An arm against another over all levels.

    Attributes:
        arm: Name.
        other: Name of what it is compared with.
        role: `without` for the same arm without made images, `real` or `pasted`.
        gain: Over all levels.
        p_value: Of the pooled test after Holm's correction over the arms of the role.
        verdict: One of the three.
        levels: Level by level.
        made: The sources of the arm.
    """

    arm: str
    other: str
    role: str
    gain: Difference
    p_value: float
    verdict: str
    levels: tuple[LevelComparison, ...]
    made: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """For results files."""
        return {
            "arm": self.arm,
            "against": self.other,
            "verdict": self.verdict,
            **_gain(self.gain),
            "p_holm": self.p_value,
            "levels": [
                {
                    "shots": one.level,
                    "verdict": one.verdict,
                    "best_ratio": one.arm.ratio,
                    "use_none": one.use_none,
                    "test": one.arm.mean,
                    "against_test": one.other.mean,
                    **_gain(one.gain),
                }
                for one in self.levels
            ],
        }


def compare_all(table: Table, arms: Sequence[Arm], resamples: Resamples) -> list[Comparison]:
    """Every arm against each of its references, those of one role together for Holm's correction."""
    families: dict[str, list[Comparison]] = {}
    for arm in arms:
        for other in references_of(arm, arms):
            role = _role(arm, other)
            found = _compare(table, arm, other, role, resamples)
            if found is not None:
                families.setdefault(role, []).append(found)
    done = []
    for family in families.values():
        adjusted = holm([one.gain.p_value for one in family])
        done += [_judged(one, p_value) for one, p_value in zip(family, adjusted, strict=True)]
    roles = ("without", "real", "pasted")
    order = {arm.name: place for place, arm in enumerate(arms)}
    return sorted(done, key=lambda one: (roles.index(one.role), order[one.arm]))


def verdict_of(gain: Difference, p_value: float, direction: float) -> str:
    """The rule: an interval beyond 0, and a significant test that points the same way."""
    if p_value < _SIGNIFICANT and gain.low > 0 and direction > 0:
        return HELPS
    if p_value < _SIGNIFICANT and gain.high < 0 and direction < 0:
        return HURTS
    return NO_EVIDENCE


def _role(arm: Arm, other: Arm) -> str:
    if other.made:
        return "pasted"
    if other == Arm(classical=arm.classical) and arm.made:
        return "without"
    return "real"


def _compare(table: Table, arm: Arm, other: Arm, role: str, resamples: Resamples) -> Comparison | None:
    levels = []
    for level in table.levels:
        own, against = table.best(arm.name, level), table.best(other.name, level)
        if own is None or against is None or own.seeds != against.seeds:
            continue
        gain = difference(own.resampled[None], against.resampled[None], resamples)
        levels.append(LevelComparison(level, own, against, gain, NO_EVIDENCE, against.val >= own.val))
    seeds = {one.arm.seeds for one in levels}
    if len(seeds) != 1:
        return None
    gain = difference(
        np.stack([one.arm.resampled for one in levels]), np.stack([one.other.resampled for one in levels]), resamples
    )
    return Comparison(arm.name, other.name, role, gain, gain.p_value, NO_EVIDENCE, tuple(levels), arm.made)


def _judged(one: Comparison, p_value: float) -> Comparison:
    direction = one.gain.value
    levels = tuple(replace(each, verdict=verdict_of(each.gain, p_value, direction)) for each in one.levels)
    return replace(one, p_value=p_value, verdict=verdict_of(one.gain, p_value, direction), levels=levels)


def _gain(gain: Difference) -> dict[str, Any]:
    return {
        "gain": round(gain.value, 6),
        "low": round(gain.low, 6),
        "high": round(gain.high, 6),
        "pairs": len(gain.pairs),
        "p": gain.p_value,
    }
