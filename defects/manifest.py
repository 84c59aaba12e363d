"""`metadata.jsonl`, one row an image: what crosses every boundary between commands; and the card of its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from defects.sample import GOOD, SOURCES, Sample
from engine.errors import DataError, Issue
from engine.files.atomic import from_json, inside, sha256_file, write_bytes

NAME = "metadata.jsonl"
_OWN = ("file_name", "mask", "label", "guide", "group", "source", "polygons")


def row_of(sample: Sample, root: Path, *, sha256: str | None = None) -> dict[str, Any]:
    """The manifest row of a sample whose files lie in a sample folder.

    Args:
        sample: Its `metadata["guide"]` are the raw guide values, `metadata["guide_scaled"]` the scaled ones;
            every other entry of the metadata becomes a column.
        root: The sample folder.
        sha256: Of the image file, when known; else it is computed.

    Raises:
        ValueError: A file of the sample is not in the folder.
    """
    row: dict[str, Any] = {
        "file_name": _relative(sample.image, root),
        "mask": _relative(sample.mask, root) if sample.mask is not None else None,
        "label": sample.label,
        "guide": {"raw": sample.metadata.get("guide", {}), "scaled": sample.metadata.get("guide_scaled", {})},
        "group": sample.group,
        "source": sample.source,
        "sha256": sha256 or sample.metadata.get("sha256") or sha256_file(sample.image),
    }
    if sample.polygons:
        row["polygons"] = [[list(point) for point in polygon] for polygon in sample.polygons]
    row.update({key: value for key, value in sample.metadata.items() if key not in row and key != "guide_scaled"})
    return row


def sample_of(row: Mapping[str, Any], root: Path) -> Sample:
    """The sample a manifest row describes; its files need not exist.

    Raises:
        DataError: A column is missing or of another type than expected, or a name leaves the folder.
    """
    where = root / NAME
    file_name = row.get("file_name")
    if not isinstance(file_name, str):
        raise DataError(
            f"{where}: a row without file_name; write the image's path relative to the folder there",
            code="E-manifest-row",
        )
    at = f"{where}: row {file_name!r}"
    mask = row.get("mask") or None
    if mask is not None and not isinstance(mask, str):
        raise DataError(f"{at}: expected the mask's path or null; got {mask!r}", code="E-manifest-row")
    label, source, group = row.get("label", GOOD), row.get("source", "real"), row.get("group") or ""
    if not isinstance(label, str) or not label:
        raise DataError(f"{at}: expected a label such as 'good' or 'crack'; got {label!r}", code="E-manifest-row")
    if source not in SOURCES:
        raise DataError(f"{at}: unknown source {source!r}; use one of {', '.join(SOURCES)}", code="E-manifest-row")
    metadata = {key: value for key, value in row.items() if key not in _OWN}
    guide = row.get("guide") or {}
    if not isinstance(guide, Mapping) or not all(isinstance(guide.get(k) or {}, Mapping) for k in ("raw", "scaled")):
        raise DataError(
            f"{at}: expected guide as {{'raw': {{...}}, 'scaled': {{...}}}}; got {guide!r}", code="E-manifest-row"
        )
    for key, column in (("raw", "guide"), ("scaled", "guide_scaled")):
        values = dict(guide.get(key) or {})
        bad = [name for name, value in values.items() if isinstance(value, float) and not math.isfinite(value)]
        if bad:
            raise DataError(
                f"{at}: guide value {bad[0]} is not a number; measure it again or leave it out", code="E-manifest-row"
            )
        if values:
            metadata[column] = values
    try:
        polygons = tuple(tuple((float(x), float(y)) for x, y in polygon) for polygon in row.get("polygons") or ())
    except (TypeError, ValueError):
        raise DataError(
            f"{at}: expected polygons as lists of [x, y]; export them again", code="E-manifest-row"
        ) from None
    parts = PurePosixPath(file_name).with_suffix("").parts
    return Sample(
        name="/".join(parts[1:] if len(parts) > 1 and parts[0] == "images" else parts),
        image=inside(root, file_name),
        mask=inside(root, mask) if mask is not None else None,
        polygons=polygons,
        label=label,
        group=str(group),
        source=source,
        metadata=metadata,
    )


def write_manifest(root: Path, rows: list[dict[str, Any]]) -> None:
    """Write all rows at once, atomically.

    Raises:
        OutputError: It cannot be written.
        ValueError: A value is NaN or infinite.
    """
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    write_bytes(root / NAME, "".join(lines).encode())


def dataset_card(splits: Mapping[str, str], tags: Sequence[str], text: str) -> str:
    """The `README.md` by which `datasets.load_dataset(folder)` finds each split, whatever its files are called.

    Args:
        splits: Files of each split, as a YAML list. A loader takes every row of a manifest for the split it reads, so
            that each split needs a manifest of its own.
        tags: Of the data set.
        text: Below the head.
    """
    files = "".join(f"      - split: {name}\n        path: {paths}\n" for name, paths in splits.items())
    return f"""---
configs:
  - config_name: default
    data_files:
{files}tags: [{", ".join(tags)}]
---
{text}"""


def read_manifest(root: Path, *, verify: bool = False) -> tuple[list[Sample], list[Issue]]:
    """Read every row, and find everything that is wrong at once.

    Args:
        root: The sample folder.
        verify: Whether to compare the sha256 of every image with its row.

    Returns:
        The samples of the good rows, and the issues of the others.

    Raises:
        DataError: There is no manifest, or it cannot be read.
    """
    path = root / NAME
    samples: list[Sample] = []
    issues: list[Issue] = []
    names: dict[str, str] = {}
    for number, line in _lines(path):
        where = f"{path}:{number}"
        try:
            row = from_json(line)
        except ValueError:
            issues.append(
                Issue(
                    where,
                    "not a line of JSON (an interrupted write?)",
                    "run the command that wrote it again with --resume, or remove the line",
                    code="E-manifest-json",
                )
            )
            continue
        if not isinstance(row, dict):
            issues.append(Issue(where, "expected a JSON object", "write one {...} a line", code="E-manifest-json"))
            continue
        try:
            sample = sample_of(row, root)
        except DataError as error:
            what, _, remedy = str(error).removeprefix(f"{path}: ").partition("; ")
            issues.append(Issue(where, what, remedy, code=error.code))
            continue
        name = str(row["file_name"])
        earlier = names.get(sample.name.casefold())
        if earlier is not None:
            same = "upper and lower case" if earlier.casefold() == name.casefold() else "its ending"
            what = f"{name} is listed twice" if earlier == name else f"{name} differs from {earlier} only in {same}"
            issues.append(
                Issue(
                    where,
                    what,
                    "remove one of the rows" if earlier == name else "rename one of them",
                    code="E-manifest-duplicate",
                )
            )
            continue
        names[sample.name.casefold()] = name
        found = list(_missing(sample, verify))
        issues.extend(found)
        if not found:
            samples.append(sample)
    return samples, issues


def _missing(sample: Sample, verify: bool) -> Iterator[Issue]:
    """What is wrong with the files a row names."""
    if not sample.image.is_file():
        yield Issue(
            str(sample.image),
            "listed in the manifest but not there",
            "restore it or remove its row",
            code="E-manifest-missing-file",
        )
    elif verify and sample.metadata.get("sha256") not in (None, sha256_file(sample.image)):
        yield Issue(
            str(sample.image),
            "has changed since it was listed (sha256 differs)",
            "restore it or list it anew",
            code="E-manifest-changed-file",
        )
    if sample.mask is not None and not sample.mask.is_file():
        yield Issue(
            str(sample.mask),
            "the mask listed in the manifest is missing",
            "restore it or remove its row",
            code="E-manifest-missing-file",
        )
    elif not sample.has_pixels:
        yield Issue(
            str(sample.image),
            f"of class {sample.label!r} but without a mask",
            "add its mask to the row",
            code="E-mask-missing",
        )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; a sample folder needs one, or give the folder's --layout", code="E-manifest-missing"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); expected UTF-8 text of one JSON object a line", code="E-manifest-json"
        ) from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        raise ValueError(f"expected a file within {root}, got {path}; copy it into the folder first") from None
