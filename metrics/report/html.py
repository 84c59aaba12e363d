"""The page as one HTML file: nothing outside it is needed or asked for."""

from __future__ import annotations

import math
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from metrics.report.page import Page

__all__ = ["page_environment", "render", "shown"]


def page_environment(package: str) -> Environment:
    """What fills the templates of `package`: everything is escaped, and a name that is not given is an error."""
    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(page: Page) -> bytes:
    """The file's content, UTF-8."""
    environment = page_environment("metrics.report")
    environment.filters["shown"] = shown
    folder = files("metrics.report").joinpath("templates")
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return environment.get_template("report.html.j2").render(page=page, style=style, script=script).encode("utf-8")


def shown(value: float | None) -> str:
    """A number with as many digits as help; a dash where there is none.

    >>> shown(123.456), shown(12.345), shown(0.04567), shown(-0.00001), shown(None)
    ('123', '12.3', '0.046', '0.000', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "\u2212")
