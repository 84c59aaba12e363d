"""The files of an imbalance report and of a generation plan: figures, page, masks, commands."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from augment.balancing.plan import GenerationPlan
from augment.balancing.plan_commands import folder_name
from augment.balancing.report import Report
from augment.balancing.strata import BRIGHTNESSES, SIZES
from defects.images.crops import central, read_crop
from defects.images.decode import as_channels, encode_image, read_sample
from defects.sample import GOOD, Sample
from engine.errors import OutputError
from engine.files.atomic import write_bytes, write_json, write_many, write_text
from engine.files.json_lines import LOCK_NAME, lock_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _ORANGE, _GRAY = "#3b6ea5", "#c8702a", "#8a8a8a"
_SIDE, _GAP = 120, 6


def class_bars(report: Report) -> bytes:
    """Images, groups and defect pixels of each class; a PNG."""
    figure = _figure(9.5, 0.9 + 0.34 * len(report.classes))
    axes = figure.subplots(1, 3, sharey=True)
    names = [summary.name for summary in report.classes]
    columns = (
        ("images", [summary.images for summary in report.classes], _BLUE),
        ("groups", [summary.groups for summary in report.classes], _GRAY),
        ("defect pixels", [summary.pixels for summary in report.classes], _ORANGE),
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


def stratum_maps(report: Report) -> bytes:
    """One map of size by brightness for each class: how many images are in every stratum; a PNG."""
    classes = list(dict.fromkeys(stratum.class_name for stratum in report.strata))
    columns = min(4, len(classes))
    rows = -(-len(classes) // columns)
    figure = _figure(0.6 + 2.5 * columns, 0.3 + 2.3 * rows)
    axes = np.atleast_1d(np.asarray(figure.subplots(rows, columns, squeeze=False))).ravel()
    most = max(stratum.count for stratum in report.strata)
    counts = {(stratum.class_name, stratum.size, stratum.brightness): stratum.count for stratum in report.strata}
    for ax in axes[len(classes) :]:
        ax.axis("off")
    for number, (ax, class_name) in enumerate(zip(axes, classes, strict=False)):
        table = np.asarray(
            [[counts[class_name, size, luminance] for luminance in BRIGHTNESSES] for size in reversed(SIZES)]
        )
        ax.imshow(np.log1p(table), cmap="Blues", vmin=0, vmax=np.log1p(most) * 1.15)
        ax.set_title(class_name, fontsize=10)
        ax.set_xticks(range(3), BRIGHTNESSES, fontsize=8)
        ax.set_yticks(range(3), tuple(reversed(SIZES)) if number % columns == 0 else ("",) * 3, fontsize=8)
        ax.tick_params(length=0)
        for row, column in np.ndindex(3, 3):
            value = int(table[row, column])
            dark = np.log1p(value) > 0.6 * np.log1p(most)
            color = "white" if dark else "#b03030" if value == 0 else "black"
            ax.text(column, row, str(value) if value else "empty", ha="center", va="center", fontsize=9, color=color)
    return _png(figure)


def size_scatter(report: Report) -> bytes:
    """Every image with a defect: its size against its brightness, with the borders of the strata; a PNG."""
    figure = _figure(7.5, 4.2)
    ax = figure.subplots()
    classes = [summary.name for summary in report.classes if summary.name != GOOD]
    for number, class_name in enumerate(classes):
        some = [m for m in report.measures if m.sample.label == class_name and m.brightness is not None]
        shares = [100 * m.share for m in some]
        luminance = [m.brightness or 0.0 for m in some]
        ax.scatter(shares, luminance, s=12, alpha=0.7, color=f"C{number % 10}", label=class_name, linewidths=0)
    if report.terciles is not None:
        for edge in report.terciles.size:
            ax.axvline(100 * edge, color=_GRAY, linewidth=0.8, linestyle="--")
        for edge in report.terciles.brightness:
            ax.axhline(edge, color=_GRAY, linewidth=0.8, linestyle="--")
    ax.set_xscale("log")
    ax.set_xlabel("defect area, % of the image", fontsize=9)
    ax.set_ylabel("brightness against surroundings", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return _png(figure)


def examples(report: Report) -> bytes:
    """One defect of every stratum, outlined, classes down and strata across; an empty stratum stays gray; a PNG.

    Raises:
        DataError: an image does not open.
    """
    samples = {m.sample.name: m.sample for m in report.measures}
    columns = [(size, luminance) for size in SIZES for luminance in BRIGHTNESSES]
    classes = list(dict.fromkeys(stratum.class_name for stratum in report.strata))
    strata = {(stratum.class_name, stratum.size, stratum.brightness): stratum for stratum in report.strata}
    head, left, step = 34, 86, _SIDE + _GAP
    sheet = np.full((head + step * len(classes), left + step * len(columns), 3), 255, np.uint8)
    for column, (size, luminance) in enumerate(columns):
        _put_text(sheet, (left + step * column, 13), size)
        _put_text(sheet, (left + step * column, 28), luminance)
    for row, class_name in enumerate(classes):
        y = head + step * row
        _put_text(sheet, (2, y + _SIDE // 2), class_name)
        for column, (size, luminance) in enumerate(columns):
            x = left + step * column
            names = strata[class_name, size, luminance].names
            tile = np.full((_SIDE, _SIDE, 3), 225, np.uint8)
            if names:
                tile = _thumbnail(report, samples[names[len(names) // 2]])
            sheet[y : y + _SIDE, x : x + _SIDE] = tile
    return encode_image(sheet)


def _thumbnail(report: Report, sample: Sample) -> NDArray[np.uint8]:
    """The defect with its surroundings, at least twice its size and an eighth of the image."""
    image, mask = read_sample(sample) if report.crop_spec is None else read_crop(sample, report.crop_spec)
    ys, xs = np.nonzero(mask)
    extent = 2 * max(int(np.ptp(ys)), int(np.ptp(xs)), 1)
    side = int(min(max(extent, 48, min(mask.shape) // 8), *mask.shape))
    x, y = central(mask, side)
    if extent >= min(mask.shape):  # a defect as large as the image: the whole image
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


def _put_text(sheet: NDArray[np.uint8], at: tuple[int, int], text: str) -> None:
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
    """Writes `report.html`, `report.json` and the figures as PNG files; existing ones are replaced.

    Args:
        report: of a set.
        out: the folder; created if missing.
        title: name of the set.

    Returns:
        The files, the page first.

    Raises:
        OutputError: a file cannot be written.
        DataError: an image of the examples does not open.
    """
    figures = {"classes": class_bars(report)}
    if report.strata:
        figures |= {"cells": stratum_maps(report), "spread": size_scatter(report), "examples": examples(report)}
    paths = [out / "report.html", out / "report.json"]
    for name, data in figures.items():
        paths.append(out / f"{name}.png")
        write_bytes(paths[-1], data)
    write_json(out / "report.json", report.to_dict())
    write_text(out / "report.html", _page(report, figures, title))
    return paths


def _page(report: Report, figures: dict[str, bytes], title: str) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    inline = {name: base64.b64encode(data).decode("ascii") for name, data in figures.items()}
    return template.render(data=report.to_dict(), figures=inline, title=title, span=_span)


def _span(values: Sequence[float], factor: float, digits: int) -> str:
    return " .. ".join(f"{factor * value:.{digits}f}" for value in values) or "–"


COMMANDS = "commands.sh"


def write_plan(plan: GenerationPlan, out: Path) -> list[Path]:
    """Writes `masks/<class>/<size>-<brightness>/*.png`, then `plan.json` and `commands.sh`.

    Returns:
        The files.

    Raises:
        OutputError: the folder is not empty, in use or cannot be written.
    """
    with lock_folder(out):
        if any(entry.name != LOCK_NAME for entry in out.iterdir()):
            raise OutputError(f"{out}: is not empty; choose another folder for the plan", code="E-out-not-empty")
        files: list[tuple[Path, bytes]] = []
        for stratum in plan.requested:
            stem = f"{folder_name(stratum.stratum.class_name)}-{stratum.stratum.size}-{stratum.stratum.brightness}"
            for number, mask in enumerate(stratum.masks):
                files.append((out / stratum.folder / f"{stem}-{number:03d}.png", encode_image(mask.mask)))
        write_many(files)
        write_json(out / "plan.json", plan.to_dict())
        write_text(out / COMMANDS, "\n".join(_script(plan)) + "\n")
    return [*(path for path, _ in files), out / "plan.json", out / COMMANDS]


def _script(plan: GenerationPlan) -> list[str]:
    known = plan.generator.checkpoint if plan.generator else None
    lines = ["#!/bin/sh", "# Fills the strata of a data set that are empty or thin, the emptiest first.", "set -e"]
    if known is not None:
        path = str(known.resolve()).replace("'", "'\\''")
        lines += ['if [ -z "$CHECKPOINT" ]; then', f"    CHECKPOINT='{path}'", "fi"]
    else:
        lines.append(': "${CHECKPOINT:?set it to the run folder or checkpoint of a generator trained on this set}"')
    if known is None:
        lines.append('case "$CHECKPOINT" in /*) ;; *) CHECKPOINT="$PWD/$CHECKPOINT" ;; esac')
    lines.append('cd "$(dirname "$0")"')
    for stratum in plan.strata:
        note = f": {stratum.reason}" if stratum.reason else ""
        lines.append(
            f"# {stratum.stratum.name}: has {stratum.stratum.count}, lacks {stratum.missing}{note}".replace("\n", " ")
        )
        if stratum.arguments:
            lines.append(stratum.line)
    return lines
