"""The project's own sample folder: `images/`, `masks/`, `metadata.jsonl`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from defects.formats.listing import ExportRow, ExportRows, Listing
from defects.images.decode import encode_image
from defects.manifest import NAME, read_manifest, row_of, write_manifest
from engine.files.atomic import sha256_bytes


def fits(root: Path) -> bool:
    """Whether there is a manifest."""
    return (root / NAME).is_file()


def read(root: Path) -> Listing:
    """Reads the manifest; every bad row is an issue of its own."""
    samples, issues = read_manifest(root)
    return Listing(samples, issues)


def write(source: ExportRows, out: Path, *, on_progress: Callable[[int], object], workers: int = 2) -> None:
    """Writes images, masks and, when all of them are there, the manifest.

    Raises:
        DataError: An image or mask does not open.
        OutputError: A file cannot be written.
    """
    hashes: dict[int, str] = {}

    def paths(row: ExportRow) -> tuple[Path, Path]:
        name = source.plain_name(row)
        return out / "images" / f"{name}{row.suffix}", out / "masks" / f"{name}.png"

    def work(row: ExportRow) -> list[tuple[Path, bytes]]:
        data, mask = row.read()
        hashes[row.number] = sha256_bytes(data)
        return list(zip(paths(row), (data, encode_image(mask)), strict=True))

    source.write_files(work, source.rows, on_progress, workers)
    rows = []
    for row in source.rows:
        image, mask = paths(row)
        metadata = {key: value for key, value in row.sample.metadata.items() if key != "rle"}
        sample = replace(row.sample, image=image, mask=mask, polygons=(), metadata=metadata)
        rows.append(row_of(sample, out, sha256=hashes[row.number]))
    write_manifest(out, rows)
