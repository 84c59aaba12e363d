"""The report as one HTML file, in the looks of the image-quality report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from metrics.report.html import page_environment


@dataclass(frozen=True)
class LevelRow:
    """One few-shot level of a comparison, in words."""

    level: str
    verdict: str
    ratio: str
    value: str
    other: str
    gain: str
    interval: str
    says: str


@dataclass(frozen=True)
class Card:
    """The verdict on one arm."""

    name: str
    other: str
    verdict: str
    mark: str
    sentence: str
    rows: Sequence[LevelRow]
    caveats: Sequence[str]


@dataclass(frozen=True)
class Task:
    """Classification or segmentation.

    Attributes:
        title: Heading.
        rule: How a verdict comes about.
        cards: Verdicts.
        plots: (title, words, PNG as base64).
        others: Every comparison as a row of words.
        columns: Of the table of scores.
        cells: Its rows.
    """

    title: str
    rule: str
    cards: Sequence[Card]
    plots: Sequence[tuple[str, str, str]]
    others: Sequence[Sequence[str]]
    columns: Sequence[str]
    cells: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Page:
    """What stands on the page."""

    title: str
    first_line: str
    notes: Sequence[str]
    tasks: Sequence[Task]
    skipped: Sequence[str]
    sets: Sequence[Sequence[str]]
    settings: Sequence[tuple[str, str]] = field(default=())


def render(page: Page) -> bytes:
    """The file's content, UTF-8."""
    style = files("metrics.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    return (
        page_environment("classify.utility.report")
        .get_template("utility.html.j2")
        .render(page=page, style=style)
        .encode("utf-8")
    )
