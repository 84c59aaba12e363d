"""From cells to the page: verdicts, plots and tables of the classification."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from classify.utility import plots
from classify.utility.bench import Bench
from classify.utility.html import Card, LevelRow, Page, Task
from classify.utility.scores import PRIMARY
from classify.utility.sentences import caveats, first_line, level_words, main_comparisons, sentence, signed
from classify.utility.settings import ALL
from classify.utility.statistics import Resamples
from classify.utility.table import Table
from classify.utility.verdict import HELPS, HURTS, Comparison, compare_all
from defects.sample import GOOD, Sample

__all__ = ["Found", "find", "page_of"]

_SCORES = (PRIMARY, "auroc", "f1", "accuracy", "balanced_accuracy", "recall_at_precision_95")
_SHORT = ("AP", "AUROC", "F1", "accuracy", "balanced accuracy", "recall at 95 % precision")
_MARKS = {HELPS: "good", HURTS: "poor"}
_RULE = (
    "An arm helps when the 95 % interval of its gain (over seeds and tested parts) lies above 0 and the signed-rank "
    "test over all levels and seeds, corrected over the arms, is below 0.05; it hurts when both say so below 0. The "
    "ratio is the one that validation prefers; the test is looked at once. Average precision decides: it ranks "
    "defective above good images without a threshold, and many easy good images do not flatter it."
)


class Found:
    """The table, the comparisons and the plots of a set of cells.

    Args:
        bench: What was compared.
        rows: Its results lines.
    """

    def __init__(self, bench: Bench, rows: Sequence[Mapping[str, Any]]) -> None:
        self.bench = bench
        resamples = Resamples(bench.division.test)
        self.table = Table(rows, resamples)
        self.comparisons = compare_all(self.table, bench.arms, resamples)
        self.counts = {level: len(bench.defective) if level == ALL else int(level) for level in self.table.levels}

    @property
    def first_line(self) -> str:
        """The verdict on every source."""
        return first_line(self.comparisons)

    def pictures(self) -> dict[str, bytes]:
        """File name and PNG of every plot."""
        arms = [arm.name for arm in self.bench.arms if arm.classical or not arm.made]
        pairs = [(arm.name, "real+classical") for arm in self.bench.arms if arm.classical and arm.made]
        return {
            "gains.png": plots.gains(self.comparisons),
            "learning.png": plots.learning_curves(self.table, arms, self.counts),
            "ratios.png": plots.ratio_curves(self.table, pairs, self.counts),
        }

    def to_dict(self) -> dict[str, Any]:
        """For `summary.json` and `--json`."""
        return {
            "first_line": self.first_line,
            "primary": PRIMARY,
            "comparisons": [
                {**one.to_dict(), "caveats": caveats(one, self.bench)} if one.made else one.to_dict()
                for one in self.comparisons
            ],
            "scores": [
                {
                    "arm": entry.arm,
                    "shots": entry.level,
                    "ratio": entry.ratio,
                    "seeds": len(entry.seeds),
                    "validation": entry.val,
                    "low": entry.low,
                    "high": entry.high,
                    "test": {name: entry.test(name)[0] for name in _SCORES},
                    "sd": {name: entry.test(name)[1] for name in _SCORES},
                }
                for entry in self.table.entries.values()
            ],
        }

    def rows(self) -> list[list[str]]:
        """Every arm at its best ratio and every level, as words."""
        lines = []
        for level in self.table.levels:
            for arm in self.bench.arms:
                entry = self.table.best(arm.name, level)
                if entry is not None:
                    values = [f"{entry.test(name)[0]:.3f}" for name in _SCORES]
                    ratio = f"{entry.ratio:g}" if entry.ratio else "–"
                    lines.append([arm.name, level_words(level, self.bench), ratio, *values, f"{entry.val:.3f}"])
        return lines

    @property
    def columns(self) -> list[str]:
        """Of `rows`."""
        return ["Arm", "Defective", "Best ratio", *_SHORT, "AP, validation"]

    def task(self) -> Task:
        """The section of the page."""
        pictures = {name: b64encode(data).decode("ascii") for name, data in self.pictures().items()}
        return Task(
            "Classification: defective or good",
            _RULE,
            [self._card(one) for one in main_comparisons(self.comparisons)],
            [
                ("Gains", "Gain over classical augmentation alone; diamonds over all levels. Beyond 0: a difference.",
                 pictures["gains.png"]),
                ("Learning curves", "Each arm at the ratio that validation prefers, with 95 % intervals.",
                 pictures["learning.png"]),
                ("Ratio curves", "0 is classical augmentation alone; rings mark the ratio that validation prefers.",
                 pictures["ratios.png"]),
            ],
            [_row(one) for one in self.comparisons],
            self.columns,
            self.rows(),
        )  # fmt: skip

    def _card(self, one: Comparison) -> Card:
        rows = [
            LevelRow(
                level_words(each.level, self.bench),
                each.verdict,
                f"{each.arm.ratio:g}",
                f"{each.arm.mean:.3f}",
                f"{each.other.mean:.3f}",
                signed(each.gain.value),
                f"{signed(each.gain.low)} to {signed(each.gain.high)}",
                "use none" if each.use_none else f"ratio {each.arm.ratio:g}",
            )
            for each in one.levels
        ]
        mark = _MARKS.get(one.verdict, "unknown")
        return Card(one.arm, one.other, one.verdict, mark, sentence(one), rows, caveats(one, self.bench))


def find(bench: Bench, rows: Sequence[Mapping[str, Any]]) -> Found:
    """Compares everything."""
    return Found(bench, rows)


def page_of(found: Found, tasks: Sequence[Task], settings: Sequence[tuple[str, str]]) -> Page:
    """The page."""
    bench = found.bench
    division = bench.division
    sets = [
        _set("real, training", division.train),
        _set("real, validation", division.val),
        _set("real, test", division.test),
        *(_set(made.name, made.samples) for made in bench.made),
        *([_set("pasted, given", bench.pasted.samples)] if bench.pasted is not None else []),
    ]
    notes = [*bench.notes, _parts_note(division.test)]
    name = bench.request.real.resolve().name
    return Page(f"Does it help? {name}", found.first_line, notes, tasks, bench.skipped, sets, settings)


def _parts_note(test: Sequence[Sample]) -> str:
    defective = [sample for sample in test if sample.label != GOOD]
    parts = len({sample.part for sample in defective})
    return (
        f"the test has {len(defective)} defective images of {parts} parts: what is said holds for parts like these, "
        "and with few parts the intervals are somewhat too narrow"
    )


def _set(name: str, samples: Sequence[Sample]) -> list[str]:
    kinds = Counter(sample.label for sample in samples)
    return [
        name,
        str(len(samples)),
        str(len({sample.part for sample in samples})),
        ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()),
    ]


def _row(one: Comparison) -> list[str]:
    interval = f"{signed(one.gain.low)} to {signed(one.gain.high)}"
    return [one.arm, one.other, signed(one.gain.value), interval, f"{one.p_value:.4f}", one.verdict]
