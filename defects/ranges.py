"""Ranges as they are written on a command line: `2..8`, or `5` for a single value."""

from __future__ import annotations

import math

from engine.errors import UsageError

__all__ = ["parse_range", "parse_whole_range"]


def parse_range(text: str, option: str) -> tuple[float, float]:
    """The two ends of `low..high`; a single number is both.

    Args:
        text: What the user wrote.
        option: The name of the option, for the message.

    Raises:
        UsageError: If it is no number or no ordered pair of numbers.

    >>> parse_range("2..8", "--width")
    (2.0, 8.0)
    >>> parse_range("5", "--width")
    (5.0, 5.0)
    """
    low_text, dots, high_text = text.partition("..")
    try:
        low = float(low_text)
        high = float(high_text) if dots else low
    except ValueError:
        raise UsageError(f"{option}: expected a number or low..high such as 2..8, got {text!r}; write it so") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"{option}: expected finite numbers, got {text!r}; write low..high such as 2..8")
    if low > high:
        raise UsageError(f"{option}: the range {text} runs backwards; write {high:g}..{low:g}")
    return low, high


def parse_whole_range(text: str, option: str) -> tuple[int, int]:
    """Like `parse_range`, for whole numbers.

    Raises:
        UsageError: If an end is no whole number.

    >>> parse_whole_range("1..3", "--per-mask")
    (1, 3)
    """
    low, high = parse_range(text, option)
    if low != int(low) or high != int(high):
        raise UsageError(f"{option}: expected whole numbers, got {text!r}; write for example 1..3")
    return int(low), int(high)
