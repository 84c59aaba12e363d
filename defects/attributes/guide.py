"""The guide vector: its schema, its measurement from an image and a mask, and its scaling.

Numeric entries (thickness, brightness, any declared column) are scaled to 0..1 by the training set's 5th and 95th
percentiles; categorical ones (background, class, ...) become one-hot. The schema travels in the checkpoint, so that
0.7 can be printed in px.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defects.attributes.appearance import brightness
from defects.masks.width import Mask, width

GuideValue = float | str | None


@dataclass(frozen=True)
class NumericEntry:
    """A numeric guide: raw value `low` is scaled to 0, `high` to 1. `unit` is "px" for lengths, else empty."""

    name: str
    low: float
    high: float
    unit: str = ""

    @property
    def size(self) -> int:
        return 1

    def scale(self, raw: float) -> float:
        """Raw value to the scale, clipped to 0..1."""
        return float(min(1.0, max(0.0, (raw - self.low) / max(self.high - self.low, 1e-9))))

    def unscale(self, scaled: float) -> float:
        return self.low + scaled * (self.high - self.low)


@dataclass(frozen=True)
class CategoricalEntry:
    """A categorical guide: one of `values`."""

    name: str
    values: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.values)


Entry = NumericEntry | CategoricalEntry


@dataclass(frozen=True)
class GuideSchema:
    """The entries of a guide vector, in order."""

    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Length G of the vector."""
        return sum(entry.size for entry in self.entries)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries)

    def __getitem__(self, name: str) -> Entry:
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def columns(self, name: str) -> tuple[int, int]:
        """Where an entry stands in the vector, (first, end); (0, 0) when there is no such entry."""
        first = 0
        for entry in self.entries:
            if entry.name == name:
                return first, first + entry.size
            first += entry.size
        return 0, 0

    def encode(self, scaled: Mapping[str, GuideValue]) -> NDArray[np.float32]:
        """Scaled values to the vector (G,): numeric as 2 v - 1, categorical one-hot, absent or None as zeros.

        Raises:
            ValueError: for a category that the schema does not have.
        """
        parts: list[float] = []
        for entry in self.entries:
            value = scaled.get(entry.name)
            if isinstance(entry, NumericEntry):
                parts.append(0.0 if value is None else 2.0 * float(value) - 1.0)
            else:
                if value is not None and value not in entry.values:
                    raise ValueError(f"expected {entry.name} to be one of {', '.join(entry.values)}, got {value!r}")
                parts.extend(float(value == known) for known in entry.values)
        return np.asarray(parts, np.float32)

    def scale(self, raw: Mapping[str, GuideValue]) -> dict[str, GuideValue]:
        """Raw values to scaled ones; entries that are absent stay absent."""
        return {
            entry.name: entry.scale(float(value)) if isinstance(entry, NumericEntry) else value
            for entry in self.entries
            if (value := raw.get(entry.name)) is not None
        }

    def unscale(self, scaled: Mapping[str, GuideValue]) -> dict[str, GuideValue]:
        """Scaled values to raw ones."""
        return {
            entry.name: entry.unscale(float(value)) if isinstance(entry, NumericEntry) else value
            for entry in self.entries
            if (value := scaled.get(entry.name)) is not None
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "entries": [
                {"name": e.name, "low": e.low, "high": e.high, "unit": e.unit}
                if isinstance(e, NumericEntry)
                else {"name": e.name, "values": list(e.values)}
                for e in self.entries
            ]
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GuideSchema:
        """Reads what `to_dict` wrote.

        >>> thickness = NumericEntry("thickness", 2.0, 8.0, "px")
        >>> schema = GuideSchema((thickness, CategoricalEntry("background", ("a", "b"))))
        >>> GuideSchema.from_dict(schema.to_dict()) == schema
        True
        >>> schema.encode({"thickness": 0.5, "background": "b"}).tolist()
        [0.0, 0.0, 1.0]
        """
        return cls(
            tuple(
                CategoricalEntry(e["name"], tuple(e["values"]))
                if "values" in e
                else NumericEntry(e["name"], float(e["low"]), float(e["high"]), e.get("unit", ""))
                for e in data["entries"]
            )
        )

    @classmethod
    def fit(cls, rows: Sequence[Mapping[str, GuideValue]], units: Mapping[str, str] | None = None) -> GuideSchema:
        """The schema of a training set: numeric entries by the 5th and 95th percentiles, categories sorted.

        Raises:
            ValueError: when a column mixes numbers and words.
        """
        names = list(dict.fromkeys(name for row in rows for name in row))
        entries: list[Entry] = []
        for name in names:
            values = [row[name] for row in rows if row.get(name) is not None]
            if all(isinstance(value, str) for value in values):
                entries.append(CategoricalEntry(name, tuple(sorted({str(value) for value in values}))))
            elif any(isinstance(value, str) for value in values):
                raise ValueError(f"expected the column {name} to hold numbers or words, got both; make it one of them")
            else:
                low, high = np.percentile([float(value) for value in values if value is not None], [5, 95])
                if high - low < 1e-6:
                    low, high = low - 0.5, high + 0.5
                entries.append(NumericEntry(name, float(low), float(high), (units or {}).get(name, "")))
        return cls(tuple(entries))


def measure(image: NDArray[np.uint8], mask: Mask) -> dict[str, GuideValue]:
    """Raw thickness (px) and brightness (-1..1) of the defect in an image; empty for an empty mask."""
    if not mask.any():
        return {}
    return {"thickness": width(mask), "brightness": brightness(image, mask)}
