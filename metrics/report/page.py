"""The model of the page that the templates take, and thumbnails as data addresses with outlines of labels."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from markupsafe import Markup

from defects.images.decode import encode_image
from defects.masks.width import Mask
from defects.sample import Image
from metrics.scores.score import Score

_MOST_BYTES = 6000
_QUALITIES = (80, 70, 60, 50, 40, 30, 20, 10, 5, 1)


@dataclass(frozen=True)
class Thumbnail:
    """One image in the page.

    Attributes:
        src: A `data:` address.
        alt: What it shows, in words.
        caption: What stands below it.
        side: Of the box in which `label` and `predicted` are outlined.
        label: SVG path around the written label; empty where there is none.
        predicted: SVG path around what the segmenter found.
    """

    src: str
    alt: str
    caption: str = ""
    side: int = 128
    label: str = ""
    predicted: str = ""


def thumbnail(
    image: Image,
    *,
    alt: str,
    caption: str = "",
    mask: Mask | None = None,
    predicted: Mask | None = None,
    side: int = 128,
) -> Thumbnail:
    """An image (S, S, C), at most `side` px wide, with its outlines (S, S)."""
    return Thumbnail(
        data_address(image, side),
        alt,
        caption,
        image.shape[0],
        outline(mask) if mask is not None else "",
        outline(predicted) if predicted is not None else "",
    )


def data_address(image: Image, side: int, most: int = _MOST_BYTES) -> str:
    """An image (S, S, C) as a JPEG of at most `side` px and about `most` bytes, as `data:image/jpeg;base64,...`."""
    if image.shape[0] > side:
        image = np.atleast_3d(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)).astype(np.uint8)
    data = b""
    for quality in _QUALITIES:
        data = encode_image(image, "jpg", quality=quality)
        if len(data) <= most:
            break
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def outline(mask: Mask) -> str:
    """The border of a mask (S, S) as an SVG path in pixels; empty for an empty mask."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts = []
    for contour in contours:
        points = cv2.approxPolyDP(contour, 0.6, closed=True)[:, 0]
        parts.append("M" + "L".join(f"{x + 0.5:g} {y + 0.5:g}" for x, y in points.tolist()) + "Z")
    return "".join(parts)


@dataclass(frozen=True)
class Answer:
    """One question about a source, answered in a sentence; `mark` is `good`, `fair`, `poor` or `unknown`."""

    question: str
    mark: str
    sentence: str


@dataclass(frozen=True)
class Row:
    """One source's line of a score; `series` is its color, counted from 0."""

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
    baseline: str
    better: str
    rows: list[Row]


@dataclass(frozen=True)
class Shelf:
    """The images of one set in a grid; `series` is None for real images."""

    name: str
    series: int | None
    thumbnails: list[Thumbnail]


@dataclass(frozen=True)
class Grid:
    """Real and synthetic images of one class."""

    class_name: str
    shelves: list[Shelf]


@dataclass(frozen=True)
class LabelRow:
    """Overlap for one class or size of defect, in synthetic and in unseen real images; None where there are none."""

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
    worst: list[Thumbnail]


@dataclass(frozen=True)
class Curve:
    """Requested against measured for one numeric guide entry."""

    name: str
    svg: Markup
    sentence: str


@dataclass(frozen=True)
class Matrix:
    """How far each requested entry (a row) moves each measured one (a column); None where it is not known."""

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
    """A synthetic image next to its nearest training image and the nearest real image that it was not trained on."""

    fake: Thumbnail
    train: Thumbnail
    held: Thumbnail | None
    sentence: str


@dataclass(frozen=True)
class Memory:
    """Memorization of one source."""

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
