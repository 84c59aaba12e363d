"""Requested guides: `thickness=0.7,brightness=0.2..0.8,background=dark|light`, and ranges of the command line."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from defects.attributes.guide import CategoricalEntry, Entry, GuideSchema, GuideValue, NumericEntry
from engine.errors import UsageError


@dataclass(frozen=True)
class Interval:
    """Sampled uniformly between `low` and `high`, in scaled units, anew for every image."""

    low: float
    high: float


@dataclass(frozen=True)
class Keyword:
    """`random` (sampled from the training distribution) or `measured` (read off the given mask)."""

    word: str


Requested = float | str | Interval | Keyword
GridPoint = dict[str, Requested]
RowSampler = Callable[[Mapping[str, str], float, float | None], Mapping[str, GuideValue]]
"""From fixed classes, a share 0..1 and a thickness in px (None: sampled) to raw guide values of a training image."""


@dataclass(frozen=True)
class GuideRequest:
    """The requested values of every entry of a schema; several values of an entry span one axis of a grid.

    Attributes:
        given: the entries that the user named; the others have their defaults.
    """

    schema: GuideSchema
    requested: Mapping[str, tuple[Requested, ...]]
    given: frozenset[str] = frozenset()

    def grid_points(self) -> list[GridPoint]:
        """Every combination of the requested values, the first entry varying slowest."""
        names = list(self.requested)
        return [
            dict(zip(names, combination, strict=True)) for combination in itertools.product(*self.requested.values())
        ]

    def resolve(
        self,
        point: GridPoint,
        rng: np.random.Generator,
        measured: Mapping[str, GuideValue],
        table: Sequence[Mapping[str, GuideValue]],
        sample_row: RowSampler | None = None,
    ) -> dict[str, GuideValue]:
        """One point of the grid to scaled values, ready for `GuideSchema.encode`.

        Args:
            point: one of `grid_points()`.
            rng: private generator of the image.
            measured: raw values read off the mask (thickness in px).
            table: raw guide values of the training images. `random` entries are read off one row of it that agrees
                with the fixed categories, so that they go together as they do in reality.
            sample_row: selects that row instead, for example by the background that the defect will lie on.
        """
        uniform = rng.random(len(self.schema.entries))
        draw = float(rng.random())
        fixed = {n: c for n, c in point.items() if isinstance(c, str)}
        known = self.schema.scale(measured)
        settled: dict[str, GuideValue] = {}
        for entry, share in zip(self.schema.entries, uniform, strict=True):
            value = point[entry.name]
            if isinstance(value, Interval):
                settled[entry.name] = value.low + float(share) * (value.high - value.low)
            elif isinstance(value, Keyword):
                settled[entry.name] = known.get(entry.name) if value.word == "measured" else None
            else:
                settled[entry.name] = value
        if sample_row is None:
            row = self.schema.scale(_any_row(table, fixed, draw))
        else:
            exact = measured if point.get("thickness") == Keyword("measured") else self.schema.unscale(settled)
            row = self.schema.scale(sample_row(fixed, draw, cast("float | None", exact.get("thickness"))))
        for entry, share in zip(self.schema.entries, uniform, strict=True):
            if settled[entry.name] is None and point[entry.name] == Keyword("random"):
                settled[entry.name] = row.get(entry.name)
            if settled[entry.name] is None:
                settled[entry.name] = _anything(entry, float(share))
        return settled


def _any_row(
    table: Sequence[Mapping[str, GuideValue]], fixed: Mapping[str, str], share: float
) -> Mapping[str, GuideValue]:
    rows = [row for row in table if all(row.get(n) == c for n, c in fixed.items())] or table
    return rows[int(share * len(rows))] if rows else {}


def _anything(entry: Entry, share: float) -> float | str:
    if isinstance(entry, CategoricalEntry):
        return entry.values[int(share * len(entry.values))]
    return share


def parse_guide(text: str, schema: GuideSchema, *, measurable: Sequence[str] = ("thickness",)) -> GuideRequest:
    """Reads a guide as typed on the command line.

    `name=0.7` a scaled value, `name=6px` a raw one, `name=0.2..0.8` a range, `name=0.2|0.5` a list (a grid),
    `name=random`, `name=measured`; several entries are separated by commas. Entries that are not named are `measured`
    where the mask alone tells them, else `random`.

    Raises:
        UsageError: for an unknown entry (the nearest known one is named), a value that is not a number, NaN, out of
            range, an unknown category, an entry given twice, or `measured` for what a mask does not tell.

    >>> thickness = NumericEntry("thickness", 2.0, 12.0, "px")
    >>> schema = GuideSchema((thickness, CategoricalEntry("background", ("dark", "light"))))
    >>> parse_guide("thickness=7px", schema).grid_points()
    [{'thickness': 0.5, 'background': Keyword(word='random')}]
    >>> len(parse_guide("thickness=0.2|0.8,background=dark|light", schema).grid_points())
    4
    """
    given: dict[str, tuple[Requested, ...]] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, sign, value = (field.strip() for field in part.partition("="))
        if not sign or not value:
            raise UsageError(
                f"--guide: {part!r} is not name=value; write for example {schema.names[0]}=0.7", code="E-guide-syntax"
            )
        if name not in schema.names:
            near = difflib.get_close_matches(name, schema.names, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"known entries: {', '.join(schema.names)}"
            raise UsageError(
                f"--guide: {name!r} is not an entry of this generator; {hint}", code="E-guide-unknown-entry"
            )
        if name in given:
            raise UsageError(
                f"--guide: {name!r} is given twice; join the values with | to make a grid", code="E-guide-syntax"
            )
        given[name] = tuple(_value(schema[name], item.strip(), measurable) for item in value.split("|"))
    defaults = {name: (Keyword("measured" if name in measurable else "random"),) for name in schema.names}
    return GuideRequest(schema, {name: given.get(name, defaults[name]) for name in schema.names}, frozenset(given))


def _value(entry: Entry, text: str, measurable: Sequence[str]) -> Requested:
    if text == "random":
        return Keyword("random")
    if text == "measured":
        if entry.name not in measurable:
            raise UsageError(
                f"--guide: {entry.name} cannot be measured on a mask alone; give a value or random",
                code="E-guide-not-measurable",
            )
        return Keyword("measured")
    if isinstance(entry, CategoricalEntry):
        if text not in entry.values:
            near = difflib.get_close_matches(text, entry.values, 1, 0.5)
            hint = f"did you mean {near[0]}? known: " if near else "known: "
            raise UsageError(
                f"--guide: {entry.name}={text} is unknown; {hint}{', '.join(entry.values)}",
                code="E-guide-unknown-class",
            )
        return text
    low, dots, high = text.partition("..")
    if not dots:
        return _number(entry, text)
    ends = _number(entry, low), _number(entry, high)
    if ends[0] > ends[1]:
        raise UsageError(f"--guide: {entry.name}={text} runs backwards; write {high}..{low}", code="E-guide-range")
    return Interval(*ends)


def _number(entry: NumericEntry, text: str) -> float:
    raw = bool(entry.unit) and text.endswith(entry.unit)
    try:
        value = float(text.removesuffix(entry.unit) if raw else text)
    except ValueError:
        unit = f" or {entry.unit}" if entry.unit else ""
        raise UsageError(
            f"--guide: {entry.name}={text} is not a number; give 0..1{unit}, random or measured", code="E-guide-number"
        ) from None
    if not math.isfinite(value):
        raise UsageError(
            f"--guide: {entry.name}={text} is not a finite number; give a value in 0..1", code="E-guide-number"
        )
    scaled = (value - entry.low) / (entry.high - entry.low) if raw else value
    if not -1e-6 <= scaled <= 1 + 1e-6:
        limits = f" (that is {entry.low:.3g}..{entry.high:.3g}{entry.unit})" if entry.unit else ""
        raise UsageError(
            f"--guide: {entry.name}={text} is out of range; the generator was trained on 0..1{limits}",
            code="E-guide-range",
        )
    return min(1.0, max(0.0, scaled))


def parse_range(text: str, option: str) -> tuple[float, float]:
    """The two ends of `low..high`; a single number is both.

    Args:
        text: What the user wrote.
        option: The name of the option, for the message.

    Raises:
        UsageError: If it is no number or no ordered pair of numbers.

    >>> parse_range("2..8", "--width")
    (2.0, 8.0)
    >>> parse_range("5", "--width")
    (5.0, 5.0)
    """
    low_text, dots, high_text = text.partition("..")
    try:
        low = float(low_text)
        high = float(high_text) if dots else low
    except ValueError:
        raise UsageError(
            f"{option}: expected a number or low..high such as 2..8, got {text!r}; write it so", code="E-range"
        ) from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(
            f"{option}: expected finite numbers, got {text!r}; write low..high such as 2..8", code="E-range"
        )
    if low > high:
        raise UsageError(f"{option}: the range {text} runs backwards; write {high:g}..{low:g}", code="E-range")
    return low, high


def parse_whole_range(text: str, option: str) -> tuple[int, int]:
    """Like `parse_range`, for whole numbers.

    Raises:
        UsageError: If an end is no whole number.

    >>> parse_whole_range("1..3", "--per-mask")
    (1, 3)
    """
    low, high = parse_range(text, option)
    if low != int(low) or high != int(high):
        raise UsageError(f"{option}: expected whole numbers, got {text!r}; write for example 1..3", code="E-range")
    return int(low), int(high)
