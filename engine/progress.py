"""Progress on stderr: a bar on a terminal, a line every few seconds elsewhere, or JSON lines."""

from __future__ import annotations

import json as json_lines
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["Progress"]

_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts towards `total` while the block runs.

    Args:
        total: How many items there are.
        label: What is being done, e.g. "generate".
        json: Write `{"progress": label, "done": n, "total": n, "seconds": s}` lines instead of a bar.
        quiet: Write nothing at all, `write` included.
        unit: What is counted, shown beside the rate.
    """

    def __init__(self, total: int, label: str, *, json: bool = False, quiet: bool = False, unit: str = "it") -> None:
        self.total = total
        self.label = label
        self.unit = unit
        self.done = 0
        self._json = json
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None
        self._start = self._last = time.monotonic()

    def __enter__(self) -> Progress:
        self._start = self._last = time.monotonic()
        if not self._quiet and not self._json and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self.total, desc=self.label, unit=self.unit, dynamic_ncols=True, file=sys.stderr)
        return self

    def update(self, n: int = 1) -> None:
        """Counts `n` more items."""
        self.done += n
        if self._bar is not None:
            self._bar.update(n)
        elif not self._quiet and time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._line()

    def write(self, text: str) -> None:
        """Writes a line without breaking the bar."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif self._json:
            self._emit(json_lines.dumps({"progress": self.label, "message": text}, ensure_ascii=False))
        else:
            self._emit(text)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif not self._quiet:
            self._line()

    def _line(self) -> None:
        self._last = time.monotonic()
        seconds = self._last - self._start
        if self._json:
            row = {"progress": self.label, "done": self.done, "total": self.total, "seconds": round(seconds, 3)}
            self._emit(json_lines.dumps(row, ensure_ascii=False))
        else:
            rate = self.done / seconds if seconds > 0 else 0.0
            self._emit(f"{self.label}: {self.done}/{self.total} after {seconds:.0f} s, {rate:.1f} {self.unit}/s")

    @staticmethod
    def _emit(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
