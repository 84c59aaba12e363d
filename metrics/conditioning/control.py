"""Guide control: whether a generator follows its guide, and what each requested entry moves besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from defects.attributes.guide import CategoricalEntry, Entry, GuideSchema, GuideValue, NumericEntry
from metrics.conditioning.readings import Reading, numeric_reading, recognized
from metrics.data.image_set import ImageSet
from metrics.labels.segmenter import Predictor


def disturbance(
    requested: Sequence[Sequence[GuideValue]], measured: Sequence[Sequence[GuideValue]]
) -> NDArray[np.float64]:
    """Partial correlations of every requested entry with every measured one.

    Entry (i, j) is the correlation of the ranks of request i with those of measurement j after a linear regression has
    taken from both what the other requests explain (partial Spearman correlation). A design in which two requests rise
    together therefore does not show one as the cause of the other's effect. 0: request i does not move j. 1 or -1:
    the order of j is all of i's making, apart from what the other requests make of it. Categories stand as one
    indicator each; where either side is a category the value is the square root of the partial share of variance,
    adjusted for the number of indicators, and has no sign. Only monotone effects show, and no interactions.

    Args:
        requested: E sequences of N values; None where nothing was requested.
        measured: E sequences of N values; None where nothing was measured.

    Returns:
        (E, E): row requested, column measured. NaN where request i does not vary or is no more than a function of the
        other requests, j does not vary or was not measured, or there are too few images.
    """
    count = len(requested)
    result = np.full((count, count), np.nan)
    requested_all = np.asarray([[value is not None for value in row] for row in requested], np.bool_)
    varies = [len({value for value in row if value is not None}) > 1 for row in requested]
    for j in range(count):
        measurable = np.asarray([value is not None for value in measured[j]], np.bool_)
        rows = np.flatnonzero(measurable & requested_all[varies].all(axis=0)).tolist() if any(varies) else []
        if len(rows) < 4:
            continue
        response = _columns([measured[j][row] for row in rows])
        if not response.size:
            continue
        design = [
            _columns([requested[i][row] for row in rows]) if varies[i] else np.zeros((len(rows), 0))
            for i in range(count)
        ]
        for i in range(count):
            if design[i].size:
                others = np.concatenate([np.zeros((len(rows), 0)), *design[:i], *design[i + 1 :]], axis=1)
                signed = _is_numeric(requested[i]) and _is_numeric(measured[j])
                result[i, j] = _partial(design[i], others, response, signed=signed)
    return result


def _partial(
    own: NDArray[np.float64], others: NDArray[np.float64], response: NDArray[np.float64], *, signed: bool
) -> float:
    """Partial correlation of `own` (N, A) with `response` (N, B) given `others` (N, C)."""
    own, response = _without(own, others), _without(response, others)
    total = float(np.square(response).sum())
    if float(np.square(own).sum()) < 1e-9 * len(own):  # the other requests say it all: rounding errors are left
        return float("nan")
    if total < 1e-9 * len(own):  # the other requests explain the measurement in full
        return 0.0
    if signed:
        return float((own * response).sum() / np.sqrt(np.square(own).sum() * total))
    rank = int(np.linalg.matrix_rank(own, tol=1e-6 * np.sqrt(len(own))))
    left = float(np.square(_without(response, own)).sum()) / total
    free = len(own) - 1 - (int(np.linalg.matrix_rank(others)) if others.size else 0)
    if free - rank < 1:
        return float("nan")
    return float(np.sqrt(max(0.0, 1 - left * free / (free - rank))))


def _without(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Residuals of a regression on a constant and `others`."""
    design = np.column_stack([np.ones(len(values)), others])
    explained: NDArray[np.float64] = design @ np.linalg.lstsq(design, values, rcond=1e-9)[0]
    return values - explained


def _columns(values: Sequence[GuideValue]) -> NDArray[np.float64]:
    """Standardized ranks (N, 1) of numbers, indicators (N, K) of categories; (N, 0) when all are the same."""
    if len(set(values)) < 2:
        return np.zeros((len(values), 0))
    if _is_numeric(values):
        ranks = stats.rankdata(np.asarray(values, np.float64))
        return np.asarray((ranks - ranks.mean()) / ranks.std(), np.float64)[:, None]
    known = sorted({str(value) for value in values})
    return np.asarray([[float(str(value) == name) for name in known[1:]] for value in values], np.float64)


def _is_numeric(values: Sequence[GuideValue]) -> bool:
    return not any(isinstance(value, str) for value in values)


_LEAST = 3


@dataclass(frozen=True)
class EntryControl:
    """One guide entry: what was requested and what the images show.

    Attributes:
        name: Of the entry.
        entry_type: `numeric` or `categorical`.
        unit: Of the raw values, such as `px`; on the scale, 0 is raw `low` and 1 raw `high`.
        low: Raw value of 0; None for a category.
        high: Raw value of 1; None for a category.
        requested: (N,) scaled values or classes; None where nothing was requested.
        measured: (N,) the same, not clipped to 0..1; None where nothing could be measured.
        spearman: Rank correlation of the two; numeric entries.
        calibration_error: Mean absolute difference on the 0..1 scale; numeric entries.
        accuracy: Share of images whose class is recognized as the requested one.
        reference: The same error or accuracy on real images, whose value is known: what the measuring itself costs.
        values: The categories, in the order of `confusion`.
        confusion: Counts, requested by recognized.
        count: Images in which the value was both requested and measured.
        how: How it was measured.
        why: Why it was not; empty when it was.
    """

    name: str
    entry_type: str
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

    def to_dict(self) -> dict[str, Any]:
        return {"kind" if key == "entry_type" else key: value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Control:
    """All entries of a guide.

    Attributes:
        entries: In the order of the schema.
        names: Of the entries: rows and columns of `disturbance`.
        disturbance: (E, E); row: requested, column: measured, see `disturbance`. The diagonal is
            the intended effect, everything off it unintended; NaN where either does not vary or was not measured.
    """

    entries: tuple[EntryControl, ...]
    names: tuple[str, ...]
    disturbance: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold; NaN as null."""
        rows = [[None if np.isnan(value) else float(value) for value in row] for row in self.disturbance]
        return {"entries": [entry.to_dict() for entry in self.entries], "names": list(self.names), "disturbance": rows}


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
    cannot be measured by anything here.

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
    requested_all = requested_values(images, schema)
    entries = []
    for entry in schema.entries:
        target = requested_all[entry.name]
        if not _varies(target):
            known = [value for value in target if value is not None]
            why = f"requested value does not vary; ask for several values of {entry.name}"
            entries.append(_unmeasured(entry, target, why if known else f"no value of {entry.name} was requested"))
        elif isinstance(entry, NumericEntry):
            reading = numeric_reading(entry, images, real, segmenter, predicted, real_predicted)
            entries.append(_numeric(entry, target, reading))
        else:
            reading = recognized(entry, target, images, real, features, real_features, seed)
            entries.append(_categorical(entry, target, reading))
    matrix = disturbance([entry.requested for entry in entries], [entry.measured for entry in entries])
    return Control(tuple(entries), schema.names, matrix)


def requested_values(images: ImageSet, schema: GuideSchema) -> dict[str, list[GuideValue]]:
    """The requested values of each image, scaled; from the raw values where no scaled ones are written."""
    rows = []
    for sample in images.samples:
        raw = schema.scale(sample.metadata.get("guide", {}))
        rows.append({**raw, **sample.metadata.get("guide_scaled", {})})
    return {name: [row.get(name) for row in rows] for name in schema.names}


def _numeric(entry: NumericEntry, target: Sequence[GuideValue], reading: Reading) -> EntryControl:
    if reading.why:
        return _unmeasured(entry, target, reading.why)
    pairs = [
        (float(a), float(b)) for a, b in zip(target, reading.measured, strict=True) if a is not None and b is not None
    ]
    base = _unmeasured(entry, target, "", measured=reading.measured)
    if len(pairs) < _LEAST:
        why = f"measured in {len(pairs)} of {len(target)} images; the defects are not found where the labels are"
        return replace(base, why=why, count=len(pairs), how=reading.how)
    a, b = np.asarray(pairs).T
    ranked = None if np.ptp(a) == 0 or np.ptp(b) == 0 else float(stats.spearmanr(a, b).statistic)
    error = float(np.abs(a - b).mean())
    return replace(
        base, spearman=ranked, calibration_error=error, reference=reading.reference, count=len(pairs), how=reading.how
    )


def _categorical(entry: CategoricalEntry, target: Sequence[GuideValue], reading: Reading) -> EntryControl:
    if reading.why:
        return _unmeasured(entry, target, reading.why)
    place = {value: number for number, value in enumerate(entry.values)}
    counts = np.zeros((len(place), len(place)), np.int64)
    for a, b in zip(target, reading.measured, strict=True):
        if a in place and b in place:
            counts[place[str(a)], place[str(b)]] += 1
    total = int(counts.sum())
    return replace(
        _unmeasured(entry, target, "", measured=reading.measured),
        accuracy=float(np.trace(counts) / total) if total else None,
        reference=reading.reference,
        values=entry.values,
        confusion=tuple(tuple(int(value) for value in row) for row in counts),
        count=total,
        how=reading.how,
    )


def _unmeasured(
    entry: Entry, target: Sequence[GuideValue], why: str, *, measured: Sequence[GuideValue] | None = None
) -> EntryControl:
    known = tuple(measured) if measured is not None else (None,) * len(target)
    if isinstance(entry, NumericEntry):
        return EntryControl(entry.name, "numeric", entry.unit, entry.low, entry.high, tuple(target), known, why=why)
    return EntryControl(entry.name, "categorical", "", None, None, tuple(target), known, values=entry.values, why=why)


def _varies(values: Sequence[GuideValue]) -> bool:
    return len({value for value in values if value is not None}) > 1
