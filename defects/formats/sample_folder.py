"""The project's own sample folder: `images/`, `masks/`, `metadata.jsonl`."""

from __future__ import annotations

from pathlib import Path

from defects.formats.listing import Found
from defects.manifest import NAME, read_manifest


def fits(root: Path) -> bool:
    """Whether there is a manifest."""
    return (root / NAME).is_file()


def read(root: Path) -> Found:
    """Read the manifest; every bad row is a fault of its own."""
    samples, issues = read_manifest(root)
    return Found(samples, issues)
