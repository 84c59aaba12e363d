"""How far each requested guide entry moves each measured one, the other requests held fixed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from defects.guides import GuideValue

__all__ = ["disturbance"]


def disturbance(
    requested: Sequence[Sequence[GuideValue]], measured: Sequence[Sequence[GuideValue]]
) -> NDArray[np.float64]:
    """Partial correlations of every requested entry with every measured one.

    Entry (i, j) is the correlation of the ranks of request i with those of measurement j after a linear regression has
    taken from both what the other requests explain (partial Spearman correlation). A design in which two requests rise
    together therefore does not show one as the cause of the other's effect. 0: request i does not move j. 1 or -1:
    the order of j is all of i's making, apart from what the other requests make of it. Categories stand as one
    indicator each; where either side is a category the value is the square root of the partial share of variance,
    adjusted for the number of indicators, and has no sign. Only monotone effects are seen, and no interactions.

    Args:
        requested: E sequences of N values; None where nothing was asked.
        measured: E sequences of N values; None where nothing was measured.

    Returns:
        (E, E): row requested, column measured. NaN where request i does not vary or is no more than a function of the
        other requests, j does not vary or was not measured, or there are too few images.
    """
    count = len(requested)
    result = np.full((count, count), np.nan)
    asked = np.asarray([[value is not None for value in row] for row in requested], np.bool_)
    varies = [len({value for value in row if value is not None}) > 1 for row in requested]
    for j in range(count):
        seen = np.asarray([value is not None for value in measured[j]], np.bool_)
        rows = np.flatnonzero(seen & asked[varies].all(axis=0)).tolist() if any(varies) else []
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
    """Standardised ranks (N, 1) of numbers, indicators (N, K) of categories; (N, 0) when all are the same."""
    if len(set(values)) < 2:
        return np.zeros((len(values), 0))
    if _is_numeric(values):
        ranks = stats.rankdata(np.asarray(values, np.float64))
        return np.asarray((ranks - ranks.mean()) / ranks.std(), np.float64)[:, None]
    known = sorted({str(value) for value in values})
    return np.asarray([[float(str(value) == name) for name in known[1:]] for value in values], np.float64)


def _is_numeric(values: Sequence[GuideValue]) -> bool:
    return not any(isinstance(value, str) for value in values)
