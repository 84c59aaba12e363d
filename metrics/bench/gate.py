"""Quality gates such as `fid_efficientnet_lite0<40,magna.label_iou>0.6`: read, bound to scores, checked."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.errors import UsageError

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CONDITION = re.compile(r"^(?P<target>[^<>=\s]+)\s*(?P<sign><=|>=|<|>)\s*(?P<limit>[^<>=\s]+)$")


@dataclass(frozen=True)
class Condition:
    """What a score must satisfy.

    Attributes:
        score: Its name.
        sign: `<`, `<=`, `>` or `>=`.
        limit: What the value is compared with.
        source: The synthetic set that it is for; None for every one.
    """

    score: str
    sign: str
    limit: float
    source: str | None = None

    def __str__(self) -> str:
        return f"{self.score}{self.sign}{self.limit:g}"

    def holds(self, value: float | None) -> bool:
        """Whether a value satisfies it; a score that could not be computed does not."""
        return value is not None and math.isfinite(value) and _OPERATORS[self.sign](value, self.limit)


def parse_gate(text: str, scores: Collection[str], sources: Collection[str]) -> list[Condition]:
    """Read conditions separated by commas.

    Args:
        text: Such as `fid_efficientnet_lite0<40,magna.label_iou>0.6`.
        scores: The names that a gate may use.
        sources: The names of the synthetic sets.

    Raises:
        UsageError: A condition cannot be read, or names an unknown score or source.
    """
    conditions = [_parse(part.strip(), scores, sources) for part in text.split(",") if part.strip()]
    if not conditions:
        raise UsageError("--gate: holds no condition; write one such as label_iou>0.6", code="E-gate-syntax")
    return conditions


def failures(
    conditions: Sequence[Condition], values: Mapping[str, Mapping[str, float | None]], why: Mapping[str, str]
) -> list[str]:
    """One line for every condition and source that fails.

    Args:
        conditions: Of the gate.
        values: For each source its scores by name; None, or no entry, where one could not be computed.
        why: The reasons for that, by `source.score`.
    """
    lines = []
    for condition in conditions:
        for source, scores in values.items():
            value = scores.get(condition.score)
            if condition.source not in (None, source) or condition.holds(value):
                continue
            reason = why.get(f"{source}.{condition.score}", "")
            shown = f"is {value:.4g}" if value is not None else f"could not be computed{reason and f' ({reason})'}"
            lines.append(f"gate: {source}: {condition.score} {shown}; expected {condition.sign} {condition.limit:g}")
    return lines


def _parse(part: str, scores: Collection[str], sources: Collection[str]) -> Condition:
    match = _CONDITION.match(part)
    if match is None:
        raise UsageError(
            f"--gate: cannot read {part!r}; write name<number with <, <=, > or >=, such as label_iou>0.6",
            code="E-gate-syntax",
        )
    try:
        limit = float(match["limit"])
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise UsageError(
            f"--gate: {match['limit']!r} in {part!r} is no number; write one such as label_iou>0.6",
            code="E-gate-syntax",
        )
    score, source = match["target"], None
    if score not in scores:
        head, dot, rest = score.partition(".")
        if dot and head not in sources and rest in scores:
            raise UsageError(
                f"--gate: no source is called {head!r}; use one of {', '.join(sources)}", code="E-gate-unknown-source"
            )
        if dot and head in sources:
            source, score = head, rest
    if score not in scores:
        raise UsageError(
            f"--gate: unknown score {score!r}; use one of {', '.join(scores)}", code="E-gate-unknown-score"
        )
    return Condition(score, match["sign"], limit, source)
