"""The scores as lines of text, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from metrics.report.html import shown
from metrics.report.results import Results
from metrics.scores.score import Score

__all__ = ["lines"]

_HEAD = ("score", "set", "value", "95 % interval", "floor", "better", "real/fake", "note")
_RIGHT = {2, 3, 4}


def lines(results: Results) -> list[str]:
    """The first line, the warnings, the table, and how each score was computed."""
    names = list(dict.fromkeys(score.name for source in results.sources for score in source.scores))
    found = [
        (source.name, score)
        for name in names
        for source in results.sources
        for score in source.scores
        if score.name == name
    ]
    notes: dict[str, int] = {}
    rows = [_HEAD, *(_row(source, score, notes) for source, score in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    table = [
        "  ".join(
            cell.rjust(width) if column in _RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    warnings = [f"warning: {warning}" for warning in results.warnings]
    return [results.first_line, *warnings, "", *table, "", *(f"{number}  {note}" for note, number in notes.items())]


def _row(source: str, score: Score, notes: dict[str, int]) -> Sequence[str]:
    """One line; its notes are numbered, those of equal words alike."""
    texts = [f"not computed: {score.why}"] if score.value is None else [score.warning, score.estimator]
    marks = [str(notes.setdefault(text, len(notes) + 1)) for text in texts if text]
    between = f"{shown(score.low)} .. {shown(score.high)}" if score.low is not None and score.high is not None else "–"
    return (
        score.name,
        source,
        shown(score.value),
        between if score.value is not None else "–",
        shown(score.floor),
        score.better,
        f"{score.n_real}/{score.n_fake}",
        ("! " if score.warning and score.value is not None else "") + " ".join(marks),
    )
