"""What stands on the page, ready to be laid out: the model that the template takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from metrics.report.thumbnails import Picture
from metrics.scores.score import Score

__all__ = [
    "Answer", "Block", "Closest", "Control", "Curve", "Grid", "LabelRow", "Labels", "Matrix", "Memory", "Page",
    "Place", "PlaceGroup", "Places", "Row", "Shelf",
]  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """One question about a source, answered in a sentence; `mark` is `good`, `fair`, `poor` or `unknown`."""

    question: str
    mark: str
    sentence: str


@dataclass(frozen=True)
class Row:
    """One source's line of a score; `series` is its colour, counted from 0."""

    source: str
    series: int
    score: Score
    strip: Markup


@dataclass(frozen=True)
class Block:
    """One score, for every source."""

    name: str
    title: str
    sees: str
    floor: str
    better: str
    rows: list[Row]


@dataclass(frozen=True)
class Shelf:
    """The pictures of one set in a grid; `series` is None for real images."""

    name: str
    series: int | None
    pictures: list[Picture]


@dataclass(frozen=True)
class Grid:
    """Real and synthetic images of one kind."""

    kind: str
    shelves: list[Shelf]


@dataclass(frozen=True)
class LabelRow:
    """Overlap for one kind or size of defect, in synthetic and in unseen real images; None where there are none."""

    group: str
    value: float | None
    count: int
    real: float | None
    real_count: int


@dataclass(frozen=True)
class Labels:
    """Label fidelity of one source."""

    source: str
    series: int
    sentence: str
    tables: list[tuple[str, list[LabelRow]]]
    worst: list[Picture]


@dataclass(frozen=True)
class Curve:
    """Requested against measured for one numeric guide entry."""

    name: str
    svg: Markup
    sentence: str


@dataclass(frozen=True)
class Matrix:
    """How far each requested entry (a row) moves each measured one (a column); None where it cannot be told."""

    columns: list[str]
    rows: list[tuple[str, list[float | None]]]


@dataclass(frozen=True)
class Control:
    """Control of one source."""

    source: str
    series: int
    curves: list[Curve]
    words: list[tuple[str, str]]
    matrix: Matrix | None
    unmeasured: list[tuple[str, str]]
    diversity: str = ""


@dataclass(frozen=True)
class Closest:
    """A synthetic image beside its nearest training image and the nearest real image it cannot have seen."""

    fake: Picture
    train: Picture
    held: Picture | None
    sentence: str


@dataclass(frozen=True)
class Memory:
    """Memorisation of one source."""

    source: str
    series: int
    sentence: str
    pairs: list[Closest]


@dataclass(frozen=True)
class Place:
    """One point of the t-SNE: what is shown when it is pointed at."""

    src: str
    caption: str


@dataclass(frozen=True)
class PlaceGroup:
    """A group of points as the legend shows it."""

    name: str
    count: int
    series: int
    swatch: Markup


@dataclass(frozen=True)
class Places:
    """The t-SNE."""

    svg: Markup
    groups: list[PlaceGroup]
    points: list[Place]
    sentence: str


@dataclass(frozen=True)
class Page:
    """The whole page."""

    title: str
    first_line: str
    alarm: bool
    warnings: list[str]
    sources: list[tuple[str, int, str, list[Answer]]]
    themes: list[tuple[str, list[Block]]]
    grids: list[Grid]
    labels: list[Labels]
    controls: list[Control]
    memories: list[Memory]
    places: Places | None
    missing: Sequence[tuple[str, str, str]]
    sets: Sequence[tuple[str, str, int, str, str]]
    settings: Sequence[tuple[str, str]]
    notes: list[str] = field(default_factory=list)
