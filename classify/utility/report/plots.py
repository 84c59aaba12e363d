"""Gains, learning curves and ratio curves as small PNG images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from classify.utility.analysis.scores import TaskKind
from classify.utility.analysis.table import Entry, Table
from classify.utility.analysis.verdict import Comparison

_COLORS = ("#4b535c", "#0b68b8", "#c2540a", "#0a7d5e", "#9b3f97", "#8a6d00", "#37728f", "#a3200d")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "h")
_STYLE: Any = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#98a1ab",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e6e9ed",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "savefig.facecolor": "white",
}


def gains(main: Sequence[Comparison], kind: TaskKind) -> bytes:
    """Each source beside the arm to beat less that arm alone, level by level."""
    lines = [(one, level) for one in main for level in (*one.levels, None)]
    figure, (axes,) = _figure(1, 1, 7.2, 0.7 + 0.27 * (len(lines) + len(main)))
    axes.grid(axis="x", color="#e6e9ed")
    axes.grid(axis="y", visible=False)
    axes.axvline(0, color="#5d646d", linewidth=1)
    place, ticks, names = 0.0, [], []
    for number, one in enumerate(main):
        color = _COLORS[(number + 1) % len(_COLORS)]
        for level in (*one.levels, None):
            gain = one.gain if level is None else level.gain
            strong = level is None
            axes.plot([gain.low, gain.high], [place, place], color=color, linewidth=3 if strong else 1.6, alpha=0.6)
            axes.plot(gain.value, place, "D" if strong else "o", color=color, markersize=6 if strong else 5)
            ticks.append(place)
            name = "+".join(one.made)
            names.append(f"{name}: all levels" if level is None else f"at {level.level}, ratio {level.arm.ratio:g}")
            place += 1
        place += 0.6
    axes.set_yticks(ticks, names)
    axes.set_ylim(place - 0.8, -0.8)
    axes.set_xlabel(f"gain in {kind.words} over {kind.base}, 95 % interval")
    return _png(figure)


def learning_curves(table: Table, arms: Sequence[str], counts: dict[str, int], kind: TaskKind) -> bytes:
    """The primary score on the test over the few-shot levels, each arm at the ratio that validation prefers."""
    levels = table.levels
    figure, (axes,) = _figure(1, 1, 7.2, 4.0)
    numbers = _numbers(arms, kind)
    for place, arm in enumerate(arms):
        number = numbers[arm]
        entries = [entry for level in levels if (entry := table.best(arm, level)) is not None]
        shift = (place - (len(arms) - 1) / 2) * 0.06
        _line(axes, entries, [levels.index(entry.level) + shift for entry in entries], number, arm)
    axes.set_xticks(range(len(levels)), [str(counts[level]) for level in levels])
    axes.set_xlabel(f"real {kind.shots} trained with")
    axes.set_ylabel(f"{kind.words}, test")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return _png(figure)


def ratio_curves(table: Table, pairs: Sequence[tuple[str, str]], counts: dict[str, int], kind: TaskKind) -> bytes:
    """The primary score over the ratio, a panel a level; the ring marks what validation prefers.

    Args:
        table: The cells.
        pairs: Arm and the arm it is without made images.
        counts: Defective images of each level.
        kind: The task.
    """
    levels = table.levels
    columns = min(2, len(levels))
    figure, panels = _figure(-(-len(levels) // columns), columns, 3.6 * columns, 2.5 * -(-len(levels) // columns) + 0.5)
    ratios = sorted({entry.ratio for arm, _ in pairs for level in levels for entry in table.ratios(arm, level)} | {0.0})
    for axes, level in zip(panels, levels, strict=False):
        for number, (arm, without) in enumerate(pairs, start=1):
            entries = [*table.ratios(without, level), *table.ratios(arm, level)]
            shift = (number - (len(pairs) + 1) / 2) * 0.07
            places = [ratios.index(entry.ratio) + shift for entry in entries]
            _line(axes, entries, places, number, arm)
            best = max(entries, key=lambda entry: entry.val)
            at = places[entries.index(best)]
            axes.plot(at, best.mean, "o", markersize=11, fillstyle="none", color=_COLORS[number % len(_COLORS)])
        axes.set_title(f"{counts[level]} real {kind.shots}", fontsize=9, loc="left")
        axes.set_xticks(range(len(ratios)), [f"{ratio:g}" for ratio in ratios])
    for axes in panels[len(levels) :]:
        axes.set_visible(False)
    figure.supxlabel(f"made images per real {kind.shots.removesuffix('s')}", fontsize=9)
    figure.supylabel(f"{kind.words}, test", fontsize=9)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=2)
    return _png(figure)


def _numbers(arms: Sequence[str], kind: TaskKind) -> dict[str, int]:
    """Colour of each arm, the same in every plot: grey for real alone, then the arms that are judged, then the rest."""
    judged = [arm for arm in arms if arm not in ("real", kind.base)]
    numbers = {arm: 1 + place % (len(_COLORS) - 2) for place, arm in enumerate(judged)}
    return {kind.base: len(_COLORS) - 1, "real": 0} | numbers


def _line(axes: Any, entries: Sequence[Entry], places: Sequence[float], number: int, name: str) -> None:
    color, mark = _COLORS[number % len(_COLORS)], _MARKS[number % len(_MARKS)]
    axes.plot(places, [entry.mean for entry in entries], color=color, marker=mark, markersize=5, label=name)
    for place, entry in zip(places, entries, strict=True):
        axes.plot([place, place], [entry.low, entry.high], color=color, linewidth=1.2, alpha=0.45)


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """A figure that belongs to no window and no global state."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharey=rows * columns > 1)
    return figure, list(panels.ravel())


def _png(figure: Any) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(_STYLE):
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
