"""Errors by their codes: messages may be written better without a test changing."""

from __future__ import annotations

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
