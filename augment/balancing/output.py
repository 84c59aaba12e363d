"""Pictures of an imbalance report: bars of classes, maps of cells, examples of each cell."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.balancing.plan import Plan
from augment.balancing.plan_commands import folder_name
from augment.balancing.report import Report
from augment.balancing.strata import BRIGHTNESSES, SIZES
from defects.images.crops import as_channels, central, read_crop
from defects.images.decode import encode_image, read_sample
from defects.sample import GOOD, Sample
from engine.errors import OutputError
from engine.files.atomic import write_bytes, write_json, write_many, write_text
from engine.files.json_lines import LOCK_NAME, lock_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GREY = "#3b6ea5", "#c8702a", "#8a8a8a"
_SIDE, _GAP = 120, 6


def class_bars(report: Report) -> bytes:
    """Images, groups and defect pixels of each class; a PNG."""
    figure = _figure(9.5, 0.9 + 0.34 * len(report.kinds))
    axes = figure.subplots(1, 3, sharey=True)
    names = [kind.name for kind in report.kinds]
    columns = (
        ("images", [kind.images for kind in report.kinds], _BLUE),
        ("groups", [kind.groups for kind in report.kinds], _GREY),
        ("defect pixels", [kind.pixels for kind in report.kinds], _ORANGE),
    )
    for ax, (title, values, color) in zip(axes, columns, strict=True):
        ax.barh(names, values, color=color)
        ax.set_xlim(0, 1.3 * max(*values, 1))
        ax.set_xticks([])
        ax.set_title(title, fontsize=10)
        ax.invert_yaxis() if ax is axes[0] else None
        for row, value in enumerate(values):
            ax.text(value + 0.02 * max(*values, 1), row, f"{value:,}", va="center", fontsize=8)
        for side in ("top", "right", "bottom"):
            ax.spines[side].set_visible(False)
    return _png(figure)


def cell_maps(report: Report) -> bytes:
    """One map of size by brightness for each kind: how many images are in every cell; a PNG."""
    kinds = list(dict.fromkeys(cell.kind for cell in report.cells))
    columns = min(4, len(kinds))
    rows = -(-len(kinds) // columns)
    figure = _figure(0.6 + 2.5 * columns, 0.3 + 2.3 * rows)
    axes = np.atleast_1d(np.asarray(figure.subplots(rows, columns, squeeze=False))).ravel()
    most = max(cell.count for cell in report.cells)
    counts = {(cell.kind, cell.size, cell.brightness): cell.count for cell in report.cells}
    for ax in axes[len(kinds) :]:
        ax.axis("off")
    for number, (ax, kind) in enumerate(zip(axes, kinds, strict=False)):
        table = np.asarray([[counts[kind, size, light] for light in BRIGHTNESSES] for size in reversed(SIZES)])
        ax.imshow(np.log1p(table), cmap="Blues", vmin=0, vmax=np.log1p(most) * 1.15)
        ax.set_title(kind, fontsize=10)
        ax.set_xticks(range(3), BRIGHTNESSES, fontsize=8)
        ax.set_yticks(range(3), tuple(reversed(SIZES)) if number % columns == 0 else ("",) * 3, fontsize=8)
        ax.tick_params(length=0)
        for row, column in np.ndindex(3, 3):
            value = int(table[row, column])
            dark = np.log1p(value) > 0.6 * np.log1p(most)
            color = "white" if dark else "#b03030" if value == 0 else "black"
            ax.text(column, row, str(value) if value else "empty", ha="center", va="center", fontsize=9, color=color)
    return _png(figure)


def size_spread(report: Report) -> bytes:
    """Every image with a defect: its size against its brightness, with the lines that part the cells; a PNG."""
    figure = _figure(7.5, 4.2)
    ax = figure.subplots()
    kinds = [kind.name for kind in report.kinds if kind.name != GOOD]
    for number, kind in enumerate(kinds):
        some = [m for m in report.measures if m.sample.label == kind and m.brightness is not None]
        shares = [100 * m.share for m in some]
        light = [m.brightness or 0.0 for m in some]
        ax.scatter(shares, light, s=12, alpha=0.7, color=f"C{number % 10}", label=kind, linewidths=0)
    if report.terciles is not None:
        for edge in report.terciles.size:
            ax.axvline(100 * edge, color=_GREY, linewidth=0.8, linestyle="--")
        for edge in report.terciles.brightness:
            ax.axhline(edge, color=_GREY, linewidth=0.8, linestyle="--")
    ax.set_xscale("log")
    ax.set_xlabel("defect area, % of the image", fontsize=9)
    ax.set_ylabel("brightness against surroundings", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return _png(figure)


def examples(report: Report) -> bytes:
    """One defect of every cell, outlined, kinds down and cells across; an empty cell stays grey; a PNG.

    Raises:
        DataError: an image does not open.
    """
    samples = {m.sample.name: m.sample for m in report.measures}
    columns = [(size, light) for size in SIZES for light in BRIGHTNESSES]
    kinds = list(dict.fromkeys(cell.kind for cell in report.cells))
    cells = {(cell.kind, cell.size, cell.brightness): cell for cell in report.cells}
    head, left, step = 34, 86, _SIDE + _GAP
    sheet = np.full((head + step * len(kinds), left + step * len(columns), 3), 255, np.uint8)
    for column, (size, light) in enumerate(columns):
        _write(sheet, (left + step * column, 13), size)
        _write(sheet, (left + step * column, 28), light)
    for row, kind in enumerate(kinds):
        y = head + step * row
        _write(sheet, (2, y + _SIDE // 2), kind)
        for column, (size, light) in enumerate(columns):
            x = left + step * column
            names = cells[kind, size, light].names
            tile = np.full((_SIDE, _SIDE, 3), 225, np.uint8)
            if names:
                tile = _thumbnail(report, samples[names[len(names) // 2]])
            sheet[y : y + _SIDE, x : x + _SIDE] = tile
    return encode_image(sheet)


def _thumbnail(report: Report, sample: Sample) -> NDArray[np.uint8]:
    """The defect with its surroundings, at least twice its size and an eighth of the picture."""
    image, mask = read_sample(sample) if report.crop_spec is None else read_crop(sample, report.crop_spec)
    ys, xs = np.nonzero(mask)
    extent = 2 * max(int(np.ptp(ys)), int(np.ptp(xs)), 1)
    side = int(min(max(extent, 48, min(mask.shape) // 8), *mask.shape))
    x, y = central(mask, side)
    if extent >= min(mask.shape):  # a defect as large as the picture is shown whole
        x, y, side = 0, 0, max(mask.shape)
    image, mask = as_channels(image[y : y + side, x : x + side], 3), mask[y : y + side, x : x + side]
    zoom = _SIDE / max(mask.shape)
    size = (max(1, round(mask.shape[1] * zoom)), max(1, round(mask.shape[0] * zoom)))
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    small = cv2.resize(np.ascontiguousarray(image), size, interpolation=how)
    outline = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(outline, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(small, contours, -1, (220, 40, 40), 1)
    tile = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    tile[: size[1], : size[0]] = small
    return tile


def _write(sheet: NDArray[np.uint8], at: tuple[int, int], text: str) -> None:
    cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def write_report(report: Report, out: Path, *, title: str = "a data set") -> list[Path]:
    """Write `report.html`, `report.json` and the pictures as PNG files; what is there of them is replaced.

    Args:
        report: of a set.
        out: the folder, made if missing.
        title: name of the set.

    Returns:
        The files, the page first.

    Raises:
        OutputError: a file cannot be written.
        DataError: an image of the examples does not open.
    """
    pictures = {"classes": class_bars(report)}
    if report.cells:
        pictures |= {"cells": cell_maps(report), "spread": size_spread(report), "examples": examples(report)}
    paths = [out / "report.html", out / "report.json"]
    for name, data in pictures.items():
        paths.append(out / f"{name}.png")
        write_bytes(paths[-1], data)
    write_json(out / "report.json", report.to_dict())
    write_text(out / "report.html", _page(report, pictures, title))
    return paths


def _page(report: Report, pictures: dict[str, bytes], title: str) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    inline = {name: base64.b64encode(data).decode("ascii") for name, data in pictures.items()}
    return template.render(data=report.to_dict(), pictures=inline, title=title, span=_span)


def _span(values: Sequence[float], factor: float, digits: int) -> str:
    return " .. ".join(f"{factor * value:.{digits}f}" for value in values) or "–"


COMMANDS = "commands.sh"


def write_plan(plan: Plan, out: Path) -> list[Path]:
    """Write `masks/<kind>/<size>-<brightness>/*.png`, then `plan.json` and `commands.sh`.

    Returns:
        The files.

    Raises:
        OutputError: the folder is not empty, in use or cannot be written.
    """
    with lock_folder(out):
        if any(entry.name != LOCK_NAME for entry in out.iterdir()):
            raise OutputError(f"{out}: is not empty; choose another folder for the plan")
        files: list[tuple[Path, bytes]] = []
        for cell in plan.asked:
            stem = f"{folder_name(cell.cell.kind)}-{cell.cell.size}-{cell.cell.brightness}"
            for number, mask in enumerate(cell.masks):
                files.append((out / cell.folder / f"{stem}-{number:03d}.png", encode_image(mask.mask)))
        write_many(files)
        write_json(out / "plan.json", plan.to_dict())
        write_text(out / COMMANDS, "\n".join(_script(plan)) + "\n")
    return [*(path for path, _ in files), out / "plan.json", out / COMMANDS]


def _script(plan: Plan) -> list[str]:
    known = plan.generator.checkpoint if plan.generator else None
    lines = ["#!/bin/sh", "# Fills the cells of a data set that are empty or thin, the emptiest first.", "set -e"]
    if known is not None:
        path = str(known.resolve()).replace("'", "'\\''")
        lines += ['if [ -z "$CHECKPOINT" ]; then', f"    CHECKPOINT='{path}'", "fi"]
    else:
        lines.append(': "${CHECKPOINT:?set it to the run folder or checkpoint of a generator trained on this set}"')
    if known is None:
        lines.append('case "$CHECKPOINT" in /*) ;; *) CHECKPOINT="$PWD/$CHECKPOINT" ;; esac')
    lines.append('cd "$(dirname "$0")"')
    for cell in plan.cells:
        note = f": {cell.why}" if cell.why else ""
        lines.append(f"# {cell.cell.name}: has {cell.cell.count}, lacks {cell.need}{note}".replace("\n", " "))
        if cell.words:
            lines.append(cell.line)
    return lines
