"""Charts as inline SVG: they take the page's colors, so that they are read in light, in dark and in print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

SHAPES = ("circle", "square", "triangle", "diamond", "cross", "down")


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; None where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


def strip(
    interval: Interval, baseline: float | None, bounds: tuple[float, float], *, series: int, words: str
) -> Markup:
    """A value and its interval on a line, with the baseline as a dashed tick.

    Args:
        interval: What is shown.
        baseline: Where the dashed tick stands.
        bounds: Ends of the line; those of one score are the same for every source.
        series: Color of the source.
        words: The same in words, for those who cannot see it.
    """
    width, height, margin = 150.0, 22.0, 8.0
    low, high = bounds

    def at(value: float) -> str:
        share = (value - low) / (high - low) if high > low else 0.5
        return _short(margin + min(1.0, max(0.0, share)) * (width - 2 * margin))

    middle = height / 2
    parts = [f'<line class="axis" x1="{margin:g}" x2="{width - margin:g}" y1="{middle:g}" y2="{middle:g}"/>']
    if baseline is not None:
        x = at(baseline)
        parts.append(f'<line class="baseline" x1="{x}" x2="{x}" y1="2" y2="{height - 2:g}"/>')
    if interval.low is not None and interval.high is not None:
        parts.append(
            f'<line class="whisker s{series}" x1="{at(interval.low)}" x2="{at(interval.high)}" '
            f'y1="{middle:g}" y2="{middle:g}"/>'
        )
    if interval.value is not None:
        parts.append(f'<circle class="dot s{series}" cx="{at(interval.value)}" cy="{middle:g}" r="4"/>')
    return _svg(width, height, "strip", words, parts)


def curve(
    requested: NDArray[np.floating], measured: NDArray[np.floating], *, name: str, unit: str, series: int, words: str
) -> Markup:
    """Requested (N,) against measured (N,): every image a dot, medians of tenths joined, the diagonal dashed."""
    width, height, left, bottom, top = 300.0, 240.0, 44.0, 40.0, 10.0
    retained = np.isfinite(requested) & np.isfinite(measured)
    x, y = requested[retained].astype(float), measured[retained].astype(float)
    low = float(min(x.min(), y.min())) if x.size else 0.0
    high = float(max(x.max(), y.max())) if x.size else 1.0
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])

    def across(value: float) -> str:
        return _short(left + (value - low) / (high - low) * (width - left - 10))

    def up(value: float) -> str:
        return _short(height - bottom - (value - low) / (high - low) * (height - bottom - top))

    parts = []
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{across(low)}" x2="{across(high)}" y1="{up(tick)}" y2="{up(tick)}"/>')
        parts.append(
            f'<text class="tick" x="{left - 6:g}" y="{up(tick)}" dy="0.32em" text-anchor="end">{tick:g}</text>'
        )
        parts.append(
            f'<text class="tick" x="{across(tick)}" y="{height - bottom + 14:g}" text-anchor="middle">{tick:g}</text>'
        )
    parts.append(f'<line class="baseline" x1="{across(low)}" y1="{up(low)}" x2="{across(high)}" y2="{up(high)}"/>')
    parts.extend(
        f'<circle class="point s{series}" cx="{across(a)}" cy="{up(b)}" r="2.4"/>' for a, b in zip(x, y, strict=True)
    )
    middles = _medians(x, y)
    if len(middles) > 1:
        path = "M" + "L".join(f"{across(a)} {up(b)}" for a, b in middles)
        parts.append(f'<path class="line s{series}" d="{path}"/>')
    shown = f"{name}, {unit}" if unit else name
    parts.append(
        f'<text class="name" x="{(left + width - 10) / 2:g}" y="{height - 4:g}" text-anchor="middle">'
        f"{escape(shown)} requested</text>"
    )
    parts.append(
        f'<text class="name" transform="translate(11 {(height - bottom + top) / 2:g}) rotate(-90)" '
        f'text-anchor="middle">measured</text>'
    )
    return _svg(width, height, "curve", words, parts)


def scatter(groups: Sequence[tuple[str, NDArray[np.floating]]], *, words: str) -> Markup:
    """Points (N, 2) of several groups, each with the class of its color, numbered in order for the script."""
    width, height, margin = 760.0, 560.0, 14.0
    everything = np.concatenate([points for _, points in groups]).astype(float)
    low, high = everything.min(axis=0), everything.max(axis=0)
    scale = np.array([width - 2 * margin, height - 2 * margin]) / np.maximum(high - low, 1e-9)
    parts, number = [], 0
    for series, (look, points) in enumerate(groups):
        places = margin + (points.astype(float) - low) * scale
        parts.append(f'<g class="group {look}" data-group="{series}">')
        for x, y in places.tolist():
            path = _shape(SHAPES[series % len(SHAPES)], x, height - y)
            parts.append(f'<path data-i="{number}" d="{path}"/>')
            number += 1
        parts.append("</g>")
    parts.append('<circle class="ring" r="9" cx="-20" cy="-20"/>')
    return _svg(width, height, "tsne", words, parts, extra=' tabindex="0"')


def swatch(look: str, number: int) -> Markup:
    """The shape and color of a group of points, for the legend."""
    path = _shape(SHAPES[number % len(SHAPES)], 6, 6)
    return Markup(
        f'<svg class="swatch-shape {look}" viewBox="0 0 12 12" width="15" height="15" aria-hidden="true">'
        f'<path d="{path}"/></svg>'
    )


def bounds(intervals: Sequence[Interval], baselines: Sequence[float]) -> tuple[float, float]:
    """The ends of a line that shows all of them, and zero where it is near."""
    values = [value for one in intervals for value in (one.value, one.low, one.high) if value is not None]
    values += baselines
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if 0 < low < 0.6 * high:
        low = 0.0
    space = 0.05 * (high - low) or 0.5
    return low - space * (low != 0), high + space


def _shape(shape: str, x: float, y: float) -> str:
    r = 3.6
    a, b = _short(x), _short(y)
    if shape == "circle":
        return f"M{_short(x - r)} {b}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
    if shape == "square":
        return f"M{_short(x - 3.2)} {_short(y - 3.2)}h6.4v6.4h-6.4Z"
    if shape == "triangle":
        return f"M{a} {_short(y - 4.4)}l4.2 7.4h-8.4Z"
    if shape == "down":
        return f"M{a} {_short(y + 4.4)}l4.2 -7.4h-8.4Z"
    if shape == "diamond":
        return f"M{a} {_short(y - 4.6)}l4.6 4.6l-4.6 4.6l-4.6 -4.6Z"
    return f"M{_short(x - 4)} {_short(y - 1.3)}h2.7v-2.7h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7Z"


def _medians(x: NDArray[np.floating], y: NDArray[np.floating]) -> list[tuple[float, float]]:
    """Medians of up to ten equally filled parts along x."""
    if x.size < 6:
        return []
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, min(10, x.size // 3))
    return [(float(np.median(x[part])), float(np.median(y[part]))) for part in parts]


def _ticks(low: float, high: float) -> list[float]:
    """Up to six round numbers that span a range."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * factor for factor in (1, 2, 2.5, 5, 10) if (high - low) / (step * factor) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _svg(width: float, height: float, css: str, words: str, parts: Sequence[str], *, extra: str = "") -> Markup:
    body = "".join(parts)
    return Markup(
        f'<svg class="{css}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{escape(words)}"{extra}>{body}</svg>'
    )
