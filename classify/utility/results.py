"""The folder of a comparison: one JSON line a cell, so that a killed run goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import ExitStack
from typing import Any, Protocol, TypeVar

from engine.files import LineLog
from engine.run import RunFolder

__all__ = ["RESULTS", "Runner", "compute"]

RESULTS = "results.jsonl"


Cell = TypeVar("Cell", bound=Hashable)
Own = TypeVar("Own", contravariant=True)


class Runner(Protocol[Own]):
    """What computes cells."""

    def run(self, cell: Own) -> dict[str, Any]:
        """The cell's results line, without its name."""
        ...


def compute(
    folder: RunFolder,
    names: Mapping[Cell, str],
    runner: Callable[[], Runner[Cell]],
    *,
    on_cells: Callable[[int], object] | None = None,
) -> list[dict[str, Any]]:
    """Computes the cells that the folder does not hold yet.

    Lines of other settings stay in the file and are passed over.

    Args:
        folder: Held by this process.
        names: The identity of every cell, in order.
        runner: Makes what computes them; not called where nothing is left to do.
        on_cells: Told how many more cells are done.

    Returns:
        The lines of all cells, in order.

    Raises:
        DataError: A line of the file is damaged, or an image does not open.
        OutputError: The file cannot be written.
    """
    with ExitStack() as stack:
        log = stack.enter_context(LineLog(folder.path / RESULTS))
        wanted = set(names.values())
        rows = {row["id"]: row for row in log.stream() if row.get("id") in wanted and "test" in row}
        if on_cells is not None:
            on_cells(len(rows))
        missing = [cell for cell, name in names.items() if name not in rows]
        computing = runner() if missing else None
        for cell in missing:
            assert computing is not None
            row = {"id": names[cell], **computing.run(cell)}
            log.append([row])
            rows[names[cell]] = row
            if on_cells is not None:
                on_cells(1)
    return [rows[name] for name in names.values()]
