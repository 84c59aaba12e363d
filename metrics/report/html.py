"""The page as one HTML file: it needs nothing from outside."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from metrics.bench.results import formatted
from metrics.report.page import Page


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
    environment.filters["formatted"] = formatted
    folder = files("metrics.report").joinpath("templates")
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return environment.get_template("report.html.j2").render(page=page, style=style, script=script).encode("utf-8")
