"""The imbalance report as files: one page that needs nothing else, its pictures, and the numbers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from augment.imbalance.pictures import cell_maps, class_bars, examples, size_spread
from augment.imbalance.report import Report
from engine.files import write_bytes, write_json, write_text

__all__ = ["write_report"]


def write_report(report: Report, out: Path, *, title: str = "a data set") -> list[Path]:
    """Write `report.html`, `report.json` and the pictures as PNG files; what is there of them is replaced.

    Args:
        report: of a set.
        out: the folder, made if missing.
        title: name of the set.

    Returns:
        The files, the page first.

    Raises:
        OutputError: a file cannot be written.
        DataError: an image of the examples does not open.
    """
    pictures = {"classes": class_bars(report)}
    if report.cells:
        pictures |= {"cells": cell_maps(report), "spread": size_spread(report), "examples": examples(report)}
    paths = [out / "report.html", out / "report.json"]
    for name, data in pictures.items():
        paths.append(out / f"{name}.png")
        write_bytes(paths[-1], data)
    write_json(out / "report.json", report.to_dict())
    write_text(out / "report.html", _page(report, pictures, title))
    return paths


def _page(report: Report, pictures: dict[str, bytes], title: str) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    inline = {name: base64.b64encode(data).decode("ascii") for name, data in pictures.items()}
    return template.render(data=report.to_dict(), pictures=inline, title=title, span=_span)


def _span(values: Sequence[float], factor: float, digits: int) -> str:
    return " .. ".join(f"{factor * value:.{digits}f}" for value in values) or "–"
