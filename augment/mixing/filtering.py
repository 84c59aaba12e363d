"""The quality filter: synthetic images are used if the scores of `bench-fid` pass the thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from augment.mixing.request import Thresholds
from augment.mixing.sources import Dropped, Source, hashes_by_name
from defects.sample import Sample
from engine.errors import DataError
from engine.files.atomic import from_json

_DETAILS = {
    "label_iou": "IoU of label and prediction {value:.3f}, at least {least:g} is required",
    "realism": "realism {value:.3f}, at least {least:g} is required",
    "nearest_ratio": "distance to the nearest real image {value:.3f}, at least {least:g} is required",
}

Scores = Mapping[str, Mapping[str, float | None]]


def read_scores(paths: Sequence[Path]) -> dict[str, dict[str, float | None]]:
    """The scores by the SHA-256 of the image file; of an image scored twice, the later row.

    Raises:
        DataError: A file is missing, or a line is no row of scores.
    """
    scores: dict[str, dict[str, float | None]] = {}
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no UTF-8 text"
            what = f"{path}: {reason}; give the scores.jsonl that bench-fid writes"
            raise DataError(what, code="E-mix-bad-scores") from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                key, values = _parse_row(line, f"{path}:{number}")
                scores[key] = values
    return scores


def _parse_row(line: str, where: str) -> tuple[str, dict[str, float | None]]:
    try:
        row: dict[str, Any] = from_json(line)
        key = row["sha256"]
        values = {name: row.get(name) for name in _DETAILS}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{where}: is no row of scores; run bench-fid again", code="E-mix-bad-scores") from None
    for name, value in values.items():
        good = value is None or (isinstance(value, int | float) and math.isfinite(value))
        if not good or not isinstance(key, str):
            what = f"{where}: expected {name} to be a number or null, got {value!r}; run bench-fid again"
            raise DataError(what, code="E-mix-bad-scores")
    return key, values


def filter_by_scores(
    source: Source, scores: Scores, thresholds: Thresholds, *, keep_unscored: bool
) -> tuple[list[Sample], list[Dropped], list[str]]:
    """Filters the images of a synthetic folder.

    Args:
        source: The folder; rows are matched by the SHA-256 of its image files.
        scores: From `read_scores`.
        thresholds: The required scores.
        keep_unscored: Whether an image passes that lacks a required score.

    Returns:
        Samples that pass, samples that are dropped, and the names of those that lack a score.
    """
    passed, dropped, unscored = [], [], []
    hashes = hashes_by_name(source.samples)
    for sample in source.samples:
        row = scores.get(hashes[sample.name], {})
        required = {name: least for name, least in thresholds.to_dict().items() if least is not None}
        missing = [name for name in required if row.get(name) is None]
        failed = next((n for n, least in required.items() if n not in missing and (row[n] or 0.0) < least), None)
        if missing:
            unscored.append(sample.name)
        if failed is not None:
            detail = _DETAILS[failed].format(value=row[failed], least=required[failed])
            dropped.append(Dropped(source.name, sample.name, failed, detail))
        elif missing and not keep_unscored:
            detail = "not in the scores" if not row else f"no {', '.join(missing)} in its scores"
            dropped.append(Dropped(source.name, sample.name, "no score", detail))
        else:
            passed.append(sample)
    return passed, dropped, unscored
