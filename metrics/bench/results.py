"""The tree of results: what `results.json` holds and the report shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from metrics.data.image_set import ImageSet
from metrics.scores.score import Score


@dataclass(frozen=True)
class Missing:
    """Something that could not be computed.

    Attributes:
        what: The score or the part of the report.
        why: The reason, and what would help.
        source: The synthetic set it is missing for; empty for all.
    """

    what: str
    why: str
    source: str = ""


@dataclass(frozen=True)
class SetInfo:
    """A set of images as it was used.

    Attributes:
        name: Its name in the report.
        role: What it was used for, in words.
        folder: Where it lies.
        images: How many.
        classes: How many of each label.
        checkpoint: SHA-256 of the generator's weights, where the folder says it.
    """

    name: str
    role: str
    folder: str
    images: int
    classes: dict[str, int]
    checkpoint: str | None = None

    @classmethod
    def of(cls, images: ImageSet, role: str, folder: str, checkpoint: str | None = None) -> SetInfo:
        """The description of an image set."""
        return cls(images.name, role, folder, len(images), dict(sorted(Counter(images.labels).items())), checkpoint)


@dataclass(frozen=True)
class SourceResults:
    """All about one synthetic set.

    Attributes:
        name: Of the set.
        scores: Every score, computed or not.
        parts: Further results by part (`labels`, `control`, `diversity`, `memorization`), as plain values.
    """

    name: str
    scores: list[Score]
    parts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """Everything that was found.

    Attributes:
        first_line: What was compared.
        warnings: What the reader has to know before the numbers, a sentence each.
        sets: The images used.
        real: What was found of unseen real images (`labels`), as plain values.
        sources: The synthetic sets, in the order given.
        missing: What could not be computed.
        settings: Command, versions, seed, extractors, cut.
    """

    first_line: str
    warnings: list[str]
    sets: list[SetInfo]
    real: dict[str, Any]
    sources: list[SourceResults]
    missing: list[Missing]
    settings: dict[str, Any]

    def values(self) -> dict[str, dict[str, float | None]]:
        """For each source its scores by name; None where one could not be computed."""
        return {source.name: {score.name: score.value for score in source.scores} for source in self.sources}

    def reasons(self) -> dict[str, str]:
        """Why a score could not be computed, by `source.score`."""
        return {f"{source.name}.{score.name}": score.why for source in self.sources for score in source.scores}

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it; a number that is not finite becomes null."""
        return {
            "format": "bench-fid-1",
            "first_line": self.first_line,
            "warnings": self.warnings,
            "sets": [
                {"kinds" if key == "classes" else key: value for key, value in asdict(one).items()} for one in self.sets
            ],
            "real": plain(self.real),
            "sources": [
                {"name": one.name, "scores": [plain(score.to_dict()) for score in one.scores], **plain(one.parts)}
                for one in self.sources
            ],
            "missing": [asdict(one) for one in self.missing],
            "settings": plain(self.settings),
        }


def plain(value: Any) -> Any:
    """Any tree of results as JSON takes it: arrays as lists, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if hasattr(value, "tolist"):  # a NumPy array or scalar
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def formatted(value: float | None) -> str:
    """A number with as many digits as help; a dash where there is none.

    >>> formatted(123.456), formatted(12.345), formatted(0.04567), formatted(-0.00001), formatted(None)
    ('123', '12.3', '0.046', '0.000', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "\u2212")
