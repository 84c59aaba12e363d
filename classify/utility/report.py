"""The page: every task's section, the images used, and what the reader has to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from classify.utility.bench import Bench
from classify.utility.found import Found
from classify.utility.html import Page
from classify.utility.units import Squares
from defects.sample import GOOD, Sample

__all__ = ["first_lines", "page_of", "parts_note"]


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
