"""JSON as this project writes and reads it: strict, UTF-8, and never deeper than can be read."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["from_json", "to_json"]


def to_json(obj: Any, *, indent: int | None = None) -> bytes:
    """JSON as UTF-8 bytes, keys in their own order; names that are no valid UTF-8 are escaped.

    Raises:
        ValueError: The object holds NaN or an infinity, which JSON does not know.
    """
    try:
        return json.dumps(obj, ensure_ascii=False, allow_nan=False, indent=indent).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(obj, allow_nan=False, indent=indent).encode("ascii")


def from_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: It is no JSON, no UTF-8, or nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
