"""What the cells of a task say: table, comparisons, plots, and their words."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from classify.utility.analysis.scores import CLASSIFY, TaskKind
from classify.utility.analysis.statistics import Resamples
from classify.utility.analysis.table import Table
from classify.utility.analysis.verdict import HELPS, HURTS, Comparison, compare_all
from classify.utility.design.bench import Bench
from classify.utility.design.settings import ALL
from classify.utility.design.units import Squares
from classify.utility.report import plots
from classify.utility.report.html import Card, LevelRow, Page, Task
from classify.utility.report.sentences import (
    base_note,
    caveats,
    first_line,
    level_words,
    main_comparisons,
    sentence,
    signed,
)
from classify.utility.runners.segmentation import segment_arms
from defects.sample import GOOD, Sample

_MARKS = {HELPS: "good", HURTS: "poor"}
_RULE = (
    "An arm helps when the 95 % interval of its gain (over seeds and tested parts) lies above 0 and the signed-rank "
    "test over all levels and seeds, corrected over the arms, is below 0.05; it hurts when both say so below 0. The "
    "ratio is the one that validation prefers; the test is looked at once."
)


class Found:
    """The table, the comparisons and the plots of a task's cells.

    Args:
        bench: What was compared.
        rows: Its results lines.
        kind: The task.
    """

    def __init__(self, bench: Bench, rows: Sequence[Mapping[str, Any]], kind: TaskKind = CLASSIFY) -> None:
        self.bench = bench
        classify = kind.name == CLASSIFY.name
        self.kind = kind.of(bench.settings.unit)
        self.arms = bench.arms if classify else segment_arms(bench)
        resamples = Resamples(bench.scored.test)
        measure = resamples.precision_of if classify else resamples.mean_of
        self.table = Table(rows, resamples, measure, kind.primary)
        self.comparisons = compare_all(self.table, self.arms, resamples)
        self.counts = {level: len(bench.defective) if level == ALL else int(level) for level in self.table.levels}

    @property
    def first_line(self) -> str:
        """The verdict on every source."""
        return first_line(self.comparisons, self.kind)

    @property
    def main(self) -> list[Comparison]:
        """What decides."""
        return main_comparisons(self.comparisons, self.kind)

    @property
    def notes(self) -> list[str]:
        """What has to be known of the arm to beat."""
        note = base_note(self.comparisons, self.kind)
        return [note] if note else []

    def pictures(self) -> dict[str, bytes]:
        """File name and PNG of every plot."""
        arms = [arm.name for arm in self.arms if not arm.made or arm.name in {one.arm for one in self.main}]
        pairs = [(one.arm, one.other) for one in self.main]
        ending = "" if self.kind.name == CLASSIFY.name else f"-{self.kind.name}"
        return {
            f"gains{ending}.png": plots.gains(self.main, self.kind),
            f"learning{ending}.png": plots.learning_curves(self.table, arms, self.counts, self.kind),
            f"ratios{ending}.png": plots.ratio_curves(self.table, pairs, self.counts, self.kind),
        }

    def to_dict(self) -> dict[str, Any]:
        """For `summary.json` and `--json`."""
        names = [name for name, _ in self.kind.scores]
        return {
            "first_line": self.first_line,
            "primary": self.kind.primary,
            "unit": self.kind.unit,
            "notes": self.notes,
            "comparisons": [{**one.to_dict(), "caveats": caveats(one, self.bench)} for one in self.comparisons],
            "scores": [
                {
                    "arm": entry.arm,
                    "shots": entry.level,
                    "ratio": entry.ratio,
                    "seeds": len(entry.seeds),
                    "validation": entry.val,
                    "low": entry.low,
                    "high": entry.high,
                    "test": {name: entry.test(name)[0] for name in names},
                    "sd": {name: entry.test(name)[1] for name in names},
                }
                for entry in self.table.entries.values()
            ],
        }

    @property
    def columns(self) -> list[str]:
        """Of `rows`."""
        short = [title for _, title in self.kind.scores]
        return [
            "Arm",
            "Defective",
            "Best ratio",
            f"{short[0]} of {self.kind.unit}",
            *short[1:],
            f"{short[0]}, validation",
        ]

    def rows(self) -> list[list[str]]:
        """Every arm at its best ratio and every level, as words."""
        lines = []
        for level in self.table.levels:
            for arm in self.arms:
                entry = self.table.best(arm.name, level)
                if entry is not None:
                    values = [f"{entry.test(name)[0]:.3f}" for name, _ in self.kind.scores]
                    ratio = f"{entry.ratio:g}" if entry.ratio else "–"
                    lines.append([arm.name, level_words(level, self.bench), ratio, *values, f"{entry.val:.3f}"])
        return lines

    def lines(self) -> list[str]:
        """The verdict and the table as text, with a sentence on every source."""
        rows = [self.columns, *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = [
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        said = []
        for one in self.main:
            said += [sentence(one, self.kind), *(f"  {caveat}" for caveat in caveats(one, self.bench))]
        return [self.first_line, "", *table, "", *said, *(f"note: {note}" for note in self.notes)]

    def section(self) -> Task:
        """The section of the page."""
        gains, learning, ratios = (b64encode(data).decode("ascii") for data in self.pictures().values())
        return Task(
            self.kind.title,
            f"{_RULE} {self.kind.why}",
            [self._card(one) for one in self.main],
            [
                ("Gains", f"Gain over {self.kind.base}; diamonds over all levels. Lines: 95 % intervals.", gains),
                ("Learning curves", "Each arm at the ratio that validation prefers, with 95 % intervals.", learning),
                ("Ratio curves", f"0 is {self.kind.base}; rings mark the ratio that validation prefers.", ratios),
            ],
            [_row(one) for one in self.comparisons],
            self.columns,
            self.rows(),
        )

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
        said = sentence(one, self.kind)
        return Card(one.arm, one.other, one.verdict, mark, said, rows, caveats(one, self.bench))


def _row(one: Comparison) -> list[str]:
    interval = f"{signed(one.gain.low)} to {signed(one.gain.high)}"
    return [one.arm, one.other, signed(one.gain.value), interval, f"{one.p_value:.4f}", one.verdict]


def first_lines(tasks: Sequence[Found]) -> str:
    """The verdicts of all tasks."""
    if len(tasks) == 1:
        return tasks[0].first_line
    return " ".join(f"{found.kind.title.partition(':')[0]}: {found.first_line}" for found in tasks)


def page_of(bench: Bench, tasks: Sequence[Found], settings: Sequence[tuple[str, str]]) -> Page:
    """The page."""
    division = bench.division
    sets = [
        _set("real, training", division.train),
        _set("real, validation", division.val),
        _set("real, test", division.test),
        *([] if bench.squares is None else _squares(bench.squares)),
        *(_set(made.name, made.samples) for made in bench.made),
        *(
            _set(f"{name}, {len(sets)} folders", [sample for made in sets.values() for sample in made.samples])
            for name, sets in bench.own.items()
        ),
        *([_set("pasted, given", bench.pasted.samples)] if bench.pasted is not None else []),
    ]
    notes = [*bench.notes, *(note for found in tasks for note in found.notes), parts_note(bench)]
    name = bench.request.real.resolve().name
    sections = [found.section() for found in tasks]
    return Page(f"Does it help? {name}", first_lines(tasks), notes, sections, bench.skipped, sets, settings)


def parts_note(bench: Bench) -> str:
    """How much the test can tell."""
    defective = [sample for sample in bench.scored.test if sample.label != GOOD]
    parts = len({sample.part for sample in defective})
    what = "images" if bench.squares is None else "squares"
    return (
        f"the test has {len(defective)} defective {what} of {parts} parts: what is said holds for parts like these, "
        "and with few parts the intervals are somewhat too narrow"
    )


def _squares(squares: Squares) -> list[list[str]]:
    names = ("squares, training", "squares, validation", "squares, test")
    items = squares.items
    return [_set(name, part) for name, part in zip(names, (items.train, items.val, items.test), strict=True)]


def _set(name: str, samples: Sequence[Sample]) -> list[str]:
    kinds = Counter(sample.label for sample in samples)
    return [
        name,
        str(len(samples)),
        str(len({sample.part for sample in samples})),
        ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()),
    ]
