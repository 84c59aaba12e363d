"""Gains, learning curves and ratio curves as small PNG images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from classify.utility.analysis.verdict import Comparison, Entry, Table, Task

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


def gains(main: Sequence[Comparison], task: Task) -> bytes:
    """Each source next to the arm to beat less that arm alone, by number of shots."""
    lines = [own for one in main for own in (*one.by_shots, None)]
    figure, (axes,) = _figure(1, 1, 7.2, 0.7 + 0.27 * (len(lines) + len(main)))
    axes.grid(axis="x", color="#e6e9ed")
    axes.grid(axis="y", visible=False)
    axes.axvline(0, color="#5d646d", linewidth=1)
    place, ticks, names = 0.0, [], []
    for number, one in enumerate(main):
        color = _COLORS[(number + 1) % len(_COLORS)]
        for own in (*one.by_shots, None):
            gain = one.gain if own is None else own.gain
            strong = own is None
            axes.plot([gain.low, gain.high], [place, place], color=color, linewidth=3 if strong else 1.6, alpha=0.6)
            axes.plot(gain.value, place, "D" if strong else "o", color=color, markersize=6 if strong else 5)
            ticks.append(place)
            name = "+".join(one.sources)
            names.append(f"{name}: all shots" if own is None else f"at {own.shots}, ratio {own.arm.ratio:g}")
            place += 1
        place += 0.6
    axes.set_yticks(ticks, names)
    axes.set_ylim(place - 0.8, -0.8)
    axes.set_xlabel(f"gain in {task.words} over {task.base}, 95 % interval")
    return _png(figure)


def learning_curves(table: Table, arms: Sequence[str], counts: dict[str, int], task: Task) -> bytes:
    """The primary score on the test over the number of shots, each arm at the ratio that validation prefers."""
    all_shots = table.shots
    figure, (axes,) = _figure(1, 1, 7.2, 4.0)
    numbers = _numbers(arms, task)
    for place, arm in enumerate(arms):
        number = numbers[arm]
        entries = [entry for shots in all_shots if (entry := table.best(arm, shots)) is not None]
        shift = (place - (len(arms) - 1) / 2) * 0.06
        _line(axes, entries, [all_shots.index(entry.shots) + shift for entry in entries], number, arm)
    axes.set_xticks(range(len(all_shots)), [str(counts[shots]) for shots in all_shots])
    axes.set_xlabel(f"real {task.shots} trained with")
    axes.set_ylabel(f"{task.words}, test")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return _png(figure)


def ratio_curves(table: Table, pairs: Sequence[tuple[str, str]], counts: dict[str, int], task: Task) -> bytes:
    """The primary score over the ratio, a panel for each number of shots; the ring marks what validation prefers.

    Args:
        table: The trials.
        pairs: Arm and the same arm without its sources.
        counts: Defective images of each number of shots.
        task: The task.
    """
    all_shots = table.shots
    columns = min(2, len(all_shots))
    figure, panels = _figure(
        -(-len(all_shots) // columns), columns, 3.6 * columns, 2.5 * -(-len(all_shots) // columns) + 0.5
    )
    ratios = sorted(
        {entry.ratio for arm, _ in pairs for shots in all_shots for entry in table.ratios(arm, shots)} | {0.0}
    )
    for axes, shots in zip(panels, all_shots, strict=False):
        for number, (arm, without) in enumerate(pairs, start=1):
            entries = [*table.ratios(without, shots), *table.ratios(arm, shots)]
            shift = (number - (len(pairs) + 1) / 2) * 0.07
            places = [ratios.index(entry.ratio) + shift for entry in entries]
            _line(axes, entries, places, number, arm)
            best = max(entries, key=lambda entry: entry.val)
            at = places[entries.index(best)]
            axes.plot(at, best.mean, "o", markersize=11, fillstyle="none", color=_COLORS[number % len(_COLORS)])
        axes.set_title(f"{counts[shots]} real {task.shots}", fontsize=9, loc="left")
        axes.set_xticks(range(len(ratios)), [f"{ratio:g}" for ratio in ratios])
    for axes in panels[len(all_shots) :]:
        axes.set_visible(False)
    figure.supxlabel(f"synthetic images per real {task.shots.removesuffix('s')}", fontsize=9)
    figure.supylabel(f"{task.words}, test", fontsize=9)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=2)
    return _png(figure)


def _numbers(arms: Sequence[str], task: Task) -> dict[str, int]:
    """Color of each arm, the same in every plot: gray for real alone, then the compared arms, then the rest."""
    compared = [arm for arm in arms if arm not in ("real", task.base)]
    numbers = {arm: 1 + place % (len(_COLORS) - 2) for place, arm in enumerate(compared)}
    return {task.base: len(_COLORS) - 1, "real": 0} | numbers


def _line(axes: Any, entries: Sequence[Entry], places: Sequence[float], number: int, name: str) -> None:
    color, mark = _COLORS[number % len(_COLORS)], _MARKS[number % len(_MARKS)]
    axes.plot(places, [entry.mean for entry in entries], color=color, marker=mark, markersize=5, label=name)
    for place, entry in zip(places, entries, strict=True):
        axes.plot([place, place], [entry.low, entry.high], color=color, linewidth=1.2, alpha=0.45)


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """A figure that belongs to no display and no global state."""
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
