"""The table of the six schemes, with the source's numbers beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from classify.schemes import Scheme, published

__all__ = ["COLUMNS", "summary_rows", "table_lines"]

_SCORES = ("precision", "recall", "f1", "accuracy")
COLUMNS = ("scheme", "network", "precision", "recall", "F1", "accuracy", "source F1 / accuracy", "training")


def summary_rows(
    rows: Sequence[Mapping[str, Any]],
    missing: Mapping[tuple[str, str], str],
    schemes: Mapping[str, Scheme],
    networks: Sequence[str],
) -> list[dict[str, Any]]:
    """One row a scheme and network.

    Args:
        rows: Results lines.
        missing: Why a (scheme, network) has none.
        schemes: By letter.
        networks: In order.
    """
    found = []
    for network in networks:
        for letter, scheme in schemes.items():
            own = [row for row in rows if row["scheme"] == letter and row["network"] == network]
            entry: dict[str, Any] = {
                "scheme": letter,
                "title": scheme.title,
                "network": network,
                "seeds": len(own),
                "source": published(scheme, network),
                "missing": missing.get((letter, network)),
            }
            if own:
                for name in _SCORES:
                    values = [float(row["test"][name]) for row in own]
                    entry[name] = float(np.mean(values))
                    entry[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
            found.append(entry)
    return found


def table_lines(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same as text."""
    rows = [COLUMNS, *(_row(entry) for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    reasons = dict.fromkeys(str(entry["missing"]) for entry in entries if entry["missing"])
    return [*table, *([""] if reasons else []), *(f"no number: {reason}" for reason in reasons)]


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    values = [_spread(entry.get(name), entry.get(f"{name}_sd")) for name in _SCORES]
    source = entry["source"]
    shown = f"{source['f1']:.3f} / {source['accuracy']:.3f}" if source else "–"
    return (str(entry["scheme"]), str(entry["network"]), *values, shown, str(entry["title"]))


def _spread(value: float | None, deviation: float | None) -> str:
    if value is None:
        return "no weights"
    return f"{value:.3f}" if deviation is None else f"{value:.3f} +- {deviation:.3f}"
