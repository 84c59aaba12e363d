"""`scores.jsonl`: the scores of every single synthetic image, for those who select among them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from engine.errors import DataError
from engine.files.atomic import from_json

NAME = "scores.jsonl"

_NUMBERS = ("label_iou", "realism", "nearest_distance", "nearest_ratio")
_WORDS = ("source", "file_name", "sha256", "extractor")


@dataclass(frozen=True)
class SampleScores:
    """One synthetic image; None where a score could not be computed.

    Attributes:
        source: The name it was given by `--fake NAME=DIR`.
        file_name: Relative to that folder.
        sha256: Of the image file, by which the row is matched.
        extractor: Of the features behind `realism` and `nearest`.
        label_iou: IoU of the segmenter's prediction with the written label, 0 to 1.
        realism: Realism score against the real images (Kynkaanniemi et al. 2019, eq. 3); from 1 inside their manifold.
        nearest: Name of the nearest real training image.
        nearest_distance: Feature distance to it.
        nearest_ratio: That distance over the median of the held-out real images'; near 0 for a copy.
    """

    source: str
    file_name: str
    sha256: str
    extractor: str
    label_iou: float | None = None
    realism: float | None = None
    nearest: str | None = None
    nearest_distance: float | None = None
    nearest_ratio: float | None = None


def rows_to_bytes(rows: Iterable[SampleScores]) -> bytes:
    """The content of `scores.jsonl`; a number that is not finite becomes null."""
    lines = []
    for row in rows:
        content = {key: _finite(value) for key, value in asdict(row).items()}
        lines.append(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")
    return "".join(lines).encode("utf-8")


def read_sample_scores(path: Path) -> list[SampleScores]:
    """Read what `rows_to_bytes` wrote.

    Raises:
        DataError: The file is missing, or a line is not such a row.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); write it by bench-fid", code="E-scores-unreadable"
        ) from None
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append(_row(from_json(line)))
            except ValueError as error:
                raise DataError(
                    f"{path}:{number}: is no row of scores ({error}); write it again by bench-fid",
                    code="E-scores-damaged",
                ) from None
    return rows


def _row(content: Any) -> SampleScores:
    if not isinstance(content, dict):
        raise ValueError(f"expected an object, got {type(content).__name__}")
    for key in _WORDS:
        if not isinstance(content.get(key), str):
            raise ValueError(f"expected {key} to be text, got {content.get(key)!r}")
    for key in _NUMBERS:
        value = content.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"expected {key} to be a number or null, got {value!r}")
    known = {field.name for field in fields(SampleScores)}
    return SampleScores(**{key: value for key, value in content.items() if key in known})


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
