"""The quality filter: which synthetic images are good enough, by the scores `bench-fid` gave each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from augment.mixing.leak_check import image_hashes
from augment.mixing.request import Thresholds
from augment.mixing.sources import Dropped, Source
from defects.sample import Sample
from engine.errors import DataError
from engine.files.atomic import from_json

_WORDS = {
    "label_iou": "the label overlaps what is seen by {value:.3f}, at least {least:g} is asked for",
    "realism": "realism {value:.3f}, at least {least:g} is asked for",
    "nearest_ratio": "distance to the nearest real image {value:.3f}, at least {least:g} is asked for",
}

Scores = Mapping[str, Mapping[str, float | None]]


def read_scores(paths: Sequence[Path]) -> dict[str, dict[str, float | None]]:
    """The scores by the SHA-256 of the image file; of an image scored twice, the later row.

    Raises:
        DataError: A file is missing, or a line is no row of scores.
    """
    found: dict[str, dict[str, float | None]] = {}
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            what = error.strerror if isinstance(error, OSError) else "is no UTF-8 text"
            raise DataError(f"{path}: {what}; give the scores.jsonl that bench-fid writes") from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                key, values = _row(line, f"{path}:{number}")
                found[key] = values
    return found


def _row(line: str, where: str) -> tuple[str, dict[str, float | None]]:
    try:
        row: dict[str, Any] = from_json(line)
        key = row["sha256"]
        values = {name: row.get(name) for name in _WORDS}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{where}: is no row of scores; run bench-fid again") from None
    for name, value in values.items():
        good = value is None or (isinstance(value, int | float) and math.isfinite(value))
        if not good or not isinstance(key, str):
            raise DataError(f"{where}: expected {name} to be a number or null, got {value!r}; run bench-fid again")
    return key, values


def filter_by_scores(
    source: Source, scores: Scores, thresholds: Thresholds, *, keep_unscored: bool
) -> tuple[list[Sample], list[Dropped], list[str]]:
    """Divides the images of a synthetic folder.

    Args:
        source: The folder; rows are matched by the SHA-256 of its image files.
        scores: From `read_scores`.
        thresholds: The least that is asked for.
        keep_unscored: Whether an image of which a score is not known stays.

    Returns:
        Those kept, those dropped, and the names of those of which a score is not known.
    """
    kept, dropped, unscored = [], [], []
    hashes = image_hashes(source.samples)
    for sample in source.samples:
        row = scores.get(hashes[sample.name], {})
        failed = ""
        unknown = []
        for name, least in thresholds.to_dict().items():
            value = row.get(name)
            if least is None:
                continue
            if value is None:
                unknown.append(name)
            elif value < least and not failed:
                failed = name
                dropped.append(Dropped(source.name, sample.name, name, _WORDS[name].format(value=value, least=least)))
        if unknown:
            unscored.append(sample.name)
        if failed:
            continue
        if unknown and not keep_unscored:
            what = "not in the scores" if not row else f"no {', '.join(unknown)} in its scores"
            dropped.append(Dropped(source.name, sample.name, "no score", what))
        else:
            kept.append(sample)
    return kept, dropped, unscored
