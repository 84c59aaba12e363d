"""Whether a generator does what its guide asks: requested against measured, and what each entry moves besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from defects.guides import CategoricalEntry, Entry, GuideSchema, GuideValue, NumericEntry
from metrics.control_readings import Reading, numeric_reading, recognised
from metrics.disturbance import disturbance
from metrics.image_set import ImageSet
from metrics.segmenter import Predictor

__all__ = ["Control", "EntryControl", "control", "requested_values"]

_LEAST = 3


@dataclass(frozen=True)
class EntryControl:
    """One guide entry: what was asked for and what the images show.

    Attributes:
        name: Of the entry.
        kind: `numeric` or `categorical`.
        unit: Of the raw values, such as `px`; on the scale, 0 is raw `low` and 1 raw `high`.
        low: Raw value of 0; None for a category.
        high: Raw value of 1; None for a category.
        requested: (N,) scaled values or categories; None where nothing was asked.
        measured: (N,) the same, not clipped to 0..1; None where nothing could be measured.
        spearman: Rank correlation of the two; numeric entries.
        calibration_error: Mean absolute difference on the 0..1 scale; numeric entries.
        accuracy: Share of images whose category is recognised as the one asked for.
        reference: The same error or accuracy on real images, whose value is known: what the measuring itself costs.
        values: The categories, in the order of `confusion`.
        confusion: Counts, requested by recognised.
        count: Images in which the value was both asked for and measured.
        how: How it was measured.
        why: Why it was not; empty when it was.
    """

    name: str
    kind: str
    unit: str
    low: float | None
    high: float | None
    requested: tuple[GuideValue, ...]
    measured: tuple[GuideValue, ...]
    spearman: float | None = None
    calibration_error: float | None = None
    accuracy: float | None = None
    reference: float | None = None
    values: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    count: int = 0
    how: str = ""
    why: str = ""


@dataclass(frozen=True)
class Control:
    """All entries of a guide.

    Attributes:
        entries: In the order of the schema.
        names: Of the entries: rows and columns of `disturbance`.
        disturbance: (E, E); row: requested, column: measured, see `metrics.disturbance.disturbance`. The diagonal is
            the wanted effect, everything beside it unwanted; NaN where either does not vary or was not measured.
    """

    entries: tuple[EntryControl, ...]
    names: tuple[str, ...]
    disturbance: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold; NaN as null."""
        rows = [[None if np.isnan(value) else float(value) for value in row] for row in self.disturbance]
        return {"entries": [asdict(entry) for entry in self.entries], "names": list(self.names), "disturbance": rows}


def control(
    images: ImageSet,
    schema: GuideSchema,
    *,
    real: ImageSet,
    segmenter: Predictor | None = None,
    features: NDArray[Any] | None = None,
    real_features: NDArray[Any] | None = None,
    predicted: NDArray[np.bool_] | None = None,
    real_predicted: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Control:
    """Requested against measured, for every entry of a guide.

    Thickness is the width of what the segmenter finds near the label, brightness that of the image inside the label, a
    category what a logistic regression, fitted on features of real images, takes the image for. Other numeric entries
    cannot be seen by anything here.

    Args:
        images: Synthetic images with `guide_scaled` (or raw `guide`) values in their metadata.
        schema: Of the generator.
        real: Real images that show the categories; and, for thickness, what measuring costs on labels known to be
            right, for which they must not be the segmenter's training images.
        segmenter: None leaves thickness unmeasured.
        features: (N, D) of `images`; None leaves categories unmeasured.
        real_features: (R, D) of `real`, by the same extractor.
        predicted: (N, S, S) what the segmenter finds in `images`, where that is known already.
        real_predicted: (R, S, S) what it finds in `real`, likewise.
        seed: Of the folds of the recognition.

    Raises:
        ValueError: The counts do not fit.
        DataError: An image does not open.
    """
    asked = requested_values(images, schema)
    entries = []
    for entry in schema.entries:
        wanted = asked[entry.name]
        if not _varies(wanted):
            known = [value for value in wanted if value is not None]
            why = f"requested value does not vary; ask for several values of {entry.name}"
            entries.append(_unmeasured(entry, wanted, why if known else f"no value of {entry.name} was asked for"))
        elif isinstance(entry, NumericEntry):
            reading = numeric_reading(entry, images, real, segmenter, predicted, real_predicted)
            entries.append(_numeric(entry, wanted, reading))
        else:
            reading = recognised(entry, wanted, images, real, features, real_features, seed)
            entries.append(_categorical(entry, wanted, reading))
    matrix = disturbance([entry.requested for entry in entries], [entry.measured for entry in entries])
    return Control(tuple(entries), schema.names, matrix)


def requested_values(images: ImageSet, schema: GuideSchema) -> dict[str, list[GuideValue]]:
    """What was asked for each image, scaled; from the raw values where no scaled ones are written."""
    rows = []
    for sample in images.samples:
        raw = schema.scale(sample.metadata.get("guide", {}))
        rows.append({**raw, **sample.metadata.get("guide_scaled", {})})
    return {name: [row.get(name) for row in rows] for name in schema.names}


def _numeric(entry: NumericEntry, wanted: Sequence[GuideValue], reading: Reading) -> EntryControl:
    if reading.why:
        return _unmeasured(entry, wanted, reading.why)
    pairs = [
        (float(a), float(b)) for a, b in zip(wanted, reading.measured, strict=True) if a is not None and b is not None
    ]
    base = _unmeasured(entry, wanted, "", measured=reading.measured)
    if len(pairs) < _LEAST:
        why = f"measured in {len(pairs)} of {len(wanted)} images; the defects are not found where the labels are"
        return replace(base, why=why, count=len(pairs), how=reading.how)
    a, b = np.asarray(pairs).T
    ranked = None if np.ptp(a) == 0 or np.ptp(b) == 0 else float(stats.spearmanr(a, b).statistic)
    error = float(np.abs(a - b).mean())
    return replace(
        base, spearman=ranked, calibration_error=error, reference=reading.reference, count=len(pairs), how=reading.how
    )


def _categorical(entry: CategoricalEntry, wanted: Sequence[GuideValue], reading: Reading) -> EntryControl:
    if reading.why:
        return _unmeasured(entry, wanted, reading.why)
    place = {value: number for number, value in enumerate(entry.values)}
    counts = np.zeros((len(place), len(place)), np.int64)
    for a, b in zip(wanted, reading.measured, strict=True):
        if a in place and b in place:
            counts[place[str(a)], place[str(b)]] += 1
    total = int(counts.sum())
    return replace(
        _unmeasured(entry, wanted, "", measured=reading.measured),
        accuracy=float(np.trace(counts) / total) if total else None,
        reference=reading.reference,
        values=entry.values,
        confusion=tuple(tuple(int(value) for value in row) for row in counts),
        count=total,
        how=reading.how,
    )


def _unmeasured(
    entry: Entry, wanted: Sequence[GuideValue], why: str, *, measured: Sequence[GuideValue] | None = None
) -> EntryControl:
    known = tuple(measured) if measured is not None else (None,) * len(wanted)
    if isinstance(entry, NumericEntry):
        return EntryControl(entry.name, "numeric", entry.unit, entry.low, entry.high, tuple(wanted), known, why=why)
    return EntryControl(entry.name, "categorical", "", None, None, tuple(wanted), known, values=entry.values, why=why)


def _varies(values: Sequence[GuideValue]) -> bool:
    return len({value for value in values if value is not None}) > 1
