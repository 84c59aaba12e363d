"""Errors by their codes: messages may be written better without a test changing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.errors import MagnaError


@contextmanager
def raises(code: str, text: str = "") -> Iterator[pytest.ExceptionInfo[MagnaError]]:
    """Expects a `MagnaError` of a code; its message matches the regular expression `text`, if one is given."""
    with pytest.raises(MagnaError, match=text or None) as caught:
        yield caught
    assert caught.value.code == code, f"expected {code}, got {caught.value.code}: {caught.value}"


def error_codes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The codes at the ends of the lines on stderr that begin with `error:`; empty for a line without one."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    found = [re.search(r" \[(E-[a-z0-9-]+)\]$", line) for line in lines]
    return [match[1] if match else "" for match in found]
