"""Control of one source, ready for the page: curves, recognised words, the matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metrics.control import EntryControl
from metrics.diversity import Diversity
from metrics.evidence import SourceEvidence
from metrics.report.charts import curve
from metrics.report.html import shown
from metrics.report.page import Control, Curve, Matrix

__all__ = ["control_page"]


def control_page(name: str, series: int, evidence: SourceEvidence) -> Control | None:
    """What the page says of one source; None where nothing was measured."""
    found = evidence.control
    if found is None:
        return None
    curves = [_curve(entry, series) for entry in found.entries if entry.spearman is not None]
    words = [(entry.name, _recognised(entry)) for entry in found.entries if entry.accuracy is not None]
    unmeasured = [(entry.name, entry.why) for entry in found.entries if entry.why]
    return Control(name, series, curves, words, _matrix(found.names, found.disturbance), unmeasured, _variety(evidence))


def _curve(entry: EntryControl, series: int) -> Curve:
    pairs = [
        (float(a), float(b))
        for a, b in zip(entry.requested, entry.measured, strict=True)
        if a is not None and b is not None
    ]
    raw = np.asarray(pairs)
    if entry.low is not None and entry.high is not None:
        raw = entry.low + raw * (entry.high - entry.low)
    sentence = f"Rank correlation {shown(entry.spearman)} (1: perfectly in step) over {entry.count} images."
    unit = f" {entry.unit}" if entry.unit else ""
    if entry.calibration_error is not None and entry.low is not None and entry.high is not None:
        off = entry.calibration_error * (entry.high - entry.low)
        sentence += f" Off by {shown(off)}{unit} on average"
        if entry.reference is not None:
            sentence += f"; measuring real defects is off by {shown(entry.reference * (entry.high - entry.low))}{unit}"
        sentence += "."
    words = f"{entry.name}: asked for against measured. {sentence}"
    svg = curve(raw[:, 0], raw[:, 1], name=entry.name, unit=entry.unit, series=series, words=words)
    return Curve(entry.name.capitalize(), svg, f"{sentence} Measured: {entry.how}." if entry.how else sentence)


def _recognised(entry: EntryControl) -> str:
    sentence = f"{shown(entry.accuracy)} of {entry.count} images are recognised as what was asked for"
    if entry.reference is not None:
        sentence += f", {shown(entry.reference)} of real images"
    chance = f"; by chance {shown(1 / len(entry.values))}" if entry.values else ""
    return f"{sentence}{chance}. How: {entry.how}."


def _matrix(names: tuple[str, ...], values: NDArray[np.float64]) -> Matrix | None:
    if not np.isfinite(values).any():
        return None
    kept = [at for at in range(len(names)) if np.isfinite(values[:, at]).any()]
    rows = [
        (name, [float(values[row, at]) if np.isfinite(values[row, at]) else None for at in kept])
        for row, name in enumerate(names)
        if np.isfinite(values[row]).any()
    ]
    return Matrix([names[at] for at in kept], rows)


def _variety(evidence: SourceEvidence) -> str:
    found: Diversity | None = evidence.diversity
    if found is None or found.share is None:
        return ""
    return (
        f"Images of one mask and one guide differ by {found.share:.0%} of what two real images differ by "
        f"({found.images} images of {found.cells} such cells): {found.verdict}."
    )
