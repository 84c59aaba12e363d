"""The parts that `--skip` can leave out, and named folders such as `magna=runs/synthetic`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from engine.errors import UsageError

PARTS = ("control", "labels", "memorisation", "tsne")


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def parse_named(texts: Sequence[str], flag: str = "--fake") -> tuple[tuple[str, Path], ...]:
    """Read `NAME=DIR` of every `flag`.

    Raises:
        UsageError: One cannot be read, or two have the same name.
    """
    fakes: dict[str, Path] = {}
    for text in texts:
        name, sign, folder = text.partition("=")
        if not sign or not folder:
            example = Path(text.rstrip("=")).name or "fakes"
            raise UsageError(
                f"{flag}: expected NAME=DIR, got {text!r}; write such as {flag} {example}=DIR", code="E-bench-set-name"
            )
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{flag}: {name!r} is no name; use up to 40 of the letters a-z, digits, - and _, "
                f"such as {flag} magna={folder}",
                code="E-bench-set-name",
            )
        if name in fakes:
            raise UsageError(
                f"{flag}: two sets are called {name!r}; give each a name of its own", code="E-bench-set-name"
            )
        fakes[name] = Path(folder)
    return tuple(fakes.items())
