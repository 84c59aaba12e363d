"""From the results of trials to a verdict: `helps`, `hurts` or `no evidence`.

An arm helps when the 95 % interval of its mean gain lies above 0 and the signed-rank test over all shots and seeds,
corrected by Holm over the arms, is below 0.05. Five seeds at one number of shots cannot reach that (0.0625 is the least
two-sided p of five pairs), so the test pools the shots; a verdict at one number of shots needs its own interval and the
pooled test. The few-shot splits of one seed hold one another and share a test, so the pooled pairs are not independent:
the interval, which draws a seed with all its splits, is the stricter of the two conditions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from classify.utility.analysis.scores import PRIMARY, Difference, Floats, Resamples, difference, holm, mean_interval
from classify.utility.design.trials import CROPS, IMAGES, Arm, references_of

HELPS, HURTS, NO_EVIDENCE = "helps", "hurts", "no evidence"
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Task:
    """Classification or segmentation.

    Attributes:
        name: As on the command line.
        title: Heading.
        primary: Name of the score that decides.
        words: The same in words.
        scores: Test scores in the table, with their column titles.
        base: The arm that every source must beat.
        against: How the first line names that.
        why: Why this score decides.
        unit: The evaluation unit.
        shots: What a number of shots counts.
    """

    name: str
    title: str
    primary: str
    words: str
    scores: tuple[tuple[str, str], ...]
    base: str
    against: str
    why: str
    unit: str = IMAGES
    shots: str = "defective images"

    def of(self, unit: str) -> Task:
        """The same task with images or crops scored, and its words saying so."""
        why = self.why.replace(f"{IMAGES}s", f"{unit}s")
        title = f"{self.title}, by {unit}" if unit == CROPS else self.title
        return replace(self, unit=unit, why=why, words=f"{self.words} of {unit}s", title=title)


CLASSIFY = Task(
    "classify",
    "Classification: defective or good",
    PRIMARY,
    "average precision",
    (
        (PRIMARY, "AP"),
        ("auroc", "AUROC"),
        ("f1", "F1"),
        ("accuracy", "accuracy"),
        ("balanced_accuracy", "balanced accuracy"),
        ("recall_at_precision_95", "recall at 95 % precision"),
    ),
    "real+classical",
    "next to classical augmentation",
    "Average precision decides: it ranks defective above good images without a threshold, and many easy good ones "
    "do not flatter it.",
)
SEGMENT = Task(
    "segment",
    "Segmentation: which pixels are defective",
    "iou",
    "IoU",
    (("iou", "IoU"), ("dice", "Dice"), ("found_in_good", "share found in good"), ("good_with_any", "good with any")),
    "real",
    "next to real images (all augmented)",
    "The mean IoU over the defective test images decides, so that small defects count as much as large ones; the share "
    "found in good images is listed next to it.",
)


@dataclass(frozen=True)
class Entry:
    """An arm at one ratio and number of shots, over its seeds.

    Attributes:
        arm: Name.
        ratio: Synthetic images per real defective one.
        shots: Number of real defective images, as a word.
        seeds: In rising order.
        resampled: (S, 1 + B) primary score on the test, and on resamples of its groups.
        val: Mean primary score on validation.
        mean: Mean on the test.
        low: End of its 95 % interval.
        high: Other end.
        rows: The results lines.
    """

    arm: str
    ratio: float
    shots: str
    seeds: tuple[int, ...]
    resampled: Floats
    val: float
    mean: float
    low: float
    high: float
    rows: tuple[Mapping[str, Any], ...]

    def test(self, name: str) -> tuple[float, float]:
        """Mean and standard deviation over the seeds of a test score."""
        values = [float(row["test"][name]) for row in self.rows]
        return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


class Table:
    """The trials by arm, ratio and number of shots.

    Args:
        rows: Results lines.
        resamples: Draws of the tested groups.
        measure: The primary score (1 + B,) of a trial's scores of images.
        primary: Its name.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        resamples: Resamples,
        measure: Callable[[Sequence[float]], Floats],
        primary: str,
    ) -> None:
        groups: dict[tuple[str, str, float], list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            groups[row["arm"], row["shots"], row["ratio"]].append(row)
        self.entries: dict[tuple[str, str, float], Entry] = {}
        for (arm, shots, ratio), own in groups.items():
            own.sort(key=lambda row: int(row["seed"]))
            resampled = np.stack([measure(row["scores"]) for row in own])
            val = float(np.mean([row["val"][primary] for row in own]))
            seeds = tuple(int(row["seed"]) for row in own)
            spread = mean_interval(resampled, resamples)
            self.entries[arm, shots, ratio] = Entry(arm, ratio, shots, seeds, resampled, val, *spread, tuple(own))

    @property
    def shots(self) -> list[str]:
        """In the order of the trials."""
        return list(dict.fromkeys(shots for _, shots, _ in self.entries))

    def ratios(self, arm: str, shots: str) -> list[Entry]:
        """The entries of an arm, by ratio."""
        own = [entry for key, entry in self.entries.items() if key[:2] == (arm, shots)]
        return sorted(own, key=lambda entry: entry.ratio)

    def best(self, arm: str, shots: str) -> Entry | None:
        """The entry with the ratio that validation prefers; of equal ones the lowest. None where there is none."""
        return max(self.ratios(arm, shots), key=lambda entry: entry.val, default=None)


@dataclass(frozen=True)
class ShotsComparison:
    """An arm against another at one number of shots.

    Attributes:
        shots: The number as a word.
        arm: The entry at the ratio that validation prefers.
        other: The same of the other arm.
        gain: Arm less other.
        verdict: One of the three.
        use_none: Whether validation prefers the other arm: no synthetic image at all.
    """

    shots: str
    arm: Entry
    other: Entry
    gain: Difference
    verdict: str
    use_none: bool


@dataclass(frozen=True)
class Comparison:
    """An arm against another over all numbers of shots.

    Attributes:
        arm: Name.
        other: Name of what it is compared with.
        role: `without` for the same arm without its sources, `real` or `pasted`.
        gain: Over all shots.
        p_value: Of the pooled test after Holm's correction over the arms of the role.
        verdict: One of the three.
        by_shots: For each number of shots.
        sources: Of the arm.
    """

    arm: str
    other: str
    role: str
    gain: Difference
    p_value: float
    verdict: str
    by_shots: tuple[ShotsComparison, ...]
    sources: tuple[str, ...] = field(default=())

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
                    "shots": one.shots,
                    "verdict": one.verdict,
                    "best_ratio": one.arm.ratio,
                    "use_none": one.use_none,
                    "test": one.arm.mean,
                    "against_test": one.other.mean,
                    **_gain(one.gain),
                }
                for one in self.by_shots
            ],
        }


def compare_all(table: Table, arms: Sequence[Arm], resamples: Resamples) -> list[Comparison]:
    """Every arm against each of its references, those of one role together for Holm's correction."""
    families: dict[str, list[Comparison]] = {"without": [], "real": [], "pasted": []}
    for arm in arms:
        for other in references_of(arm, arms):
            role = "pasted" if other.sources else "real"
            if arm.sources and other == Arm(classical=arm.classical):
                role = "without"
            comparison = _compare(table, arm, other, role, resamples)
            if comparison is not None:
                families[role].append(comparison)
    order = {arm.name: place for place, arm in enumerate(arms)}
    done: list[Comparison] = []
    for family in families.values():
        adjusted = holm([one.gain.p_value for one in family])
        verdicts = [_with_verdicts(one, p_value) for one, p_value in zip(family, adjusted, strict=True)]
        done += sorted(verdicts, key=lambda one: order[one.arm])
    return done


def verdict_of(gain: Difference, p_value: float, direction: float) -> str:
    """The rule: an interval beyond 0, and a significant test that points the same way."""
    if p_value < _SIGNIFICANT and gain.low > 0 and direction > 0:
        return HELPS
    if p_value < _SIGNIFICANT and gain.high < 0 and direction < 0:
        return HURTS
    return NO_EVIDENCE


def _compare(table: Table, arm: Arm, other: Arm, role: str, resamples: Resamples) -> Comparison | None:
    each = []
    for shots in table.shots:
        own, against = table.best(arm.name, shots), table.best(other.name, shots)
        if own is None or against is None or own.seeds != against.seeds:
            continue
        gain = difference(own.resampled[None], against.resampled[None], resamples)
        each.append(ShotsComparison(shots, own, against, gain, NO_EVIDENCE, against.val >= own.val))
    if len({one.arm.seeds for one in each}) != 1:
        return None
    gain = difference(
        np.stack([one.arm.resampled for one in each]), np.stack([one.other.resampled for one in each]), resamples
    )
    return Comparison(arm.name, other.name, role, gain, gain.p_value, NO_EVIDENCE, tuple(each), arm.sources)


def _with_verdicts(one: Comparison, p_value: float) -> Comparison:
    direction = one.gain.value
    each = tuple(replace(own, verdict=verdict_of(own.gain, p_value, direction)) for own in one.by_shots)
    return replace(one, p_value=p_value, verdict=verdict_of(one.gain, p_value, direction), by_shots=each)


def _gain(gain: Difference) -> dict[str, Any]:
    return {
        "gain": round(gain.value, 6),
        "low": round(gain.low, 6),
        "high": round(gain.high, 6),
        "pairs": len(gain.pairs),
        "p": gain.p_value,
    }
