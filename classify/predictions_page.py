"""The page and the contact sheet of a folder of predictions: the most suspicious photographs first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from classify.bundle import LoadedClassifier
from classify.pictures import sheet
from defects.images import encode_image, read_image
from engine.files import write_many

__all__ = ["CONTACT", "PAGE", "write_page"]

PAGE, CONTACT = "index.html", "contact.jpg"

_SHOWN, _ON_SHEET = 300, 36


def write_page(
    out: Path, rows: Iterable[dict[str, Any]], *, images: int, defective: int, classifier: LoadedClassifier
) -> None:
    """Writes `index.html`, of up to 300 photographs, and `contact.jpg`, of up to 36.

    Args:
        out: the folder of predictions.
        rows: of `predictions.jsonl`, read once.
        images: how many there are.
        defective: of them.
        classifier: that was asked.

    Raises:
        OutputError: they cannot be written.
    """
    seen = (row for row in rows if "error" not in row)
    first = heapq.nsmallest(_SHOWN, seen, key=lambda row: (-row["defect_probability"], row["file_name"]))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["address"] = quote
    template = environment.from_string(files("classify").joinpath("predictions.html").read_text(encoding="utf-8"))
    network = classifier.config.network
    text = template.render(
        rows=first,
        images=images,
        defective=defective,
        network=network.name + (" shortened" if network.short else ""),
        sha256=classifier.sha256,
    )
    contents: list[tuple[Path, bytes]] = [(out / PAGE, text.encode("utf-8", "xmlcharrefreplace"))]
    if first:
        pictures = [read_image(out / row["overlay"]) for row in first[:_ON_SHEET]]
        contents.append((out / CONTACT, encode_image(sheet(pictures), "jpg", quality=90)))
    write_many(contents)
