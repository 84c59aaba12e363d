"""The page of a comparison, built from its results and its images as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from numpy.typing import NDArray

from metrics.bench.comparison import Comparison, Source
from metrics.bench.evidence import Evidence, SourceEvidence
from metrics.bench.results import Results, formatted
from metrics.conditioning.control import EntryControl
from metrics.conditioning.diversity import Diversity
from metrics.labels.fidelity import LabelFidelity, Mean
from metrics.report.charts import Interval, bounds, curve, strip
from metrics.report.galleries import closest_pairs, grids, places, worst_labels
from metrics.report.page import Block, Control, Curve, LabelRow, Labels, Matrix, Memory, Page, Row
from metrics.report.text import RULE, THEMES, answers, meaning
from metrics.scores.score import Score


def page_environment(package: str) -> Environment:
    """What fills the templates of `package`: everything is escaped, and a name that is not given is an error."""
    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(page: Page) -> bytes:
    """The file's content, UTF-8."""
    environment = page_environment("metrics.report")
    environment.filters["formatted"] = formatted
    folder = files("metrics.report").joinpath("templates")
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return environment.get_template("report.html.j2").render(page=page, style=style, script=script).encode("utf-8")


def control_page(name: str, series: int, evidence: SourceEvidence) -> Control | None:
    """What the page says of one source; None where nothing was measured."""
    found = evidence.control
    if found is None:
        return None
    curves = [_curve(entry, series) for entry in found.entries if entry.spearman is not None]
    words = [(entry.name, _recognized(entry)) for entry in found.entries if entry.accuracy is not None]
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
    sentence = f"Rank correlation {formatted(entry.spearman)} (1: perfectly in step) over {entry.count} images."
    unit = f" {entry.unit}" if entry.unit else ""
    if entry.calibration_error is not None and entry.low is not None and entry.high is not None:
        off = entry.calibration_error * (entry.high - entry.low)
        sentence += f" Off by {formatted(off)}{unit} on average"
        if entry.reference is not None:
            sentence += (
                f"; measuring real defects is off by {formatted(entry.reference * (entry.high - entry.low))}{unit}"
            )
        sentence += "."
    words = f"{entry.name}: requested against measured. {sentence}"
    svg = curve(raw[:, 0], raw[:, 1], name=entry.name, unit=entry.unit, series=series, words=words)
    return Curve(entry.name.capitalize(), svg, f"{sentence} Measured: {entry.how}." if entry.how else sentence)


def _recognized(entry: EntryControl) -> str:
    sentence = f"{formatted(entry.accuracy)} of {entry.count} images are recognized as what was requested"
    if entry.reference is not None:
        sentence += f", {formatted(entry.reference)} of real images"
    chance = f"; by chance {formatted(1 / len(entry.values))}" if entry.values else ""
    return f"{sentence}{chance}. How: {entry.how}."


def _matrix(names: tuple[str, ...], values: NDArray[np.float64]) -> Matrix | None:
    if not np.isfinite(values).any():
        return None
    retained = [at for at in range(len(names)) if np.isfinite(values[:, at]).any()]
    rows = [
        (name, [float(values[row, at]) if np.isfinite(values[row, at]) else None for at in retained])
        for row, name in enumerate(names)
        if np.isfinite(values[row]).any()
    ]
    return Matrix([names[at] for at in retained], rows)


def _variety(evidence: SourceEvidence) -> str:
    found: Diversity | None = evidence.diversity
    if found is None or found.share is None:
        return ""
    return (
        f"Images of one mask and one guide differ by {found.share:.0%} of what two real images differ by "
        f"({found.images} images of {found.conditions} such conditions): {found.verdict}."
    )


def build_page(comparison: Comparison, evidence: Evidence, results: Results) -> Page:
    """Everything that the report shows."""
    named = list(enumerate(comparison.sources))
    controls = [control_page(source.name, series, evidence.sources[source.name]) for series, source in named]
    return Page(
        title="Synthetic defects next to real ones",
        first_line=results.first_line,
        alarm=comparison.division.leaked > 0,
        warnings=results.warnings,
        sources=[
            (
                source.name,
                series,
                _about(source),
                answers(results.sources[series].scores, evidence.sources[source.name], evidence.bank.extractor),
            )
            for series, source in named
        ],
        themes=_themes(results),
        grids=grids(comparison),
        labels=[labels for series, source in named if (labels := _labels(source, series, evidence)) is not None],
        controls=[control for control in controls if control is not None],
        memories=[
            memory for series, source in named if (memory := _memory(comparison, source, series, evidence)) is not None
        ],
        places=places(comparison, evidence),
        missing=[(one.what, one.source, one.why) for one in results.missing],
        sets=[
            (
                one.name,
                one.role,
                one.images,
                ", ".join(f"{class_name} {count}" for class_name, count in one.classes.items()),
                one.folder,
            )
            for one in results.sets
        ],
        settings=[(key, _words(value)) for key, value in results.settings.items()],
        notes=[RULE],
    )


def _about(source: Source) -> str:
    checkpoint = f", generator {source.provenance.checkpoint[:12]}" if source.provenance is not None else ""
    return f"{len(source.images)} images{checkpoint}"


def _themes(results: Results) -> list[tuple[str, list[Block]]]:
    """Every score with a line for each source, by theme."""
    names = dict.fromkeys(score.name for source in results.sources for score in source.scores)
    blocks: dict[int, list[Block]] = {}
    for name in names:
        rows = [
            (series, source.name, score)
            for series, source in enumerate(results.sources)
            for score in source.scores
            if score.name == name
        ]
        known = meaning(rows[0][2])
        ends = (
            (0.0, 1.0)
            if known.share and _within(rows)
            else bounds(
                [Interval(score.value, score.low, score.high) for _, _, score in rows],
                [score.baseline for _, _, score in rows if score.baseline is not None],
            )
        )
        blocks.setdefault(known.theme, []).append(
            Block(
                name,
                known.title,
                known.sees,
                known.baseline,
                rows[0][2].better,
                [Row(source, series, score, _strip(score, ends, series)) for series, source, score in rows],
            )
        )
    return [(THEMES[theme], blocks[theme]) for theme in sorted(blocks)]


def _within(rows: Sequence[tuple[int, str, Score]]) -> bool:
    return all(
        0 <= value <= 1
        for _, _, score in rows
        for value in (score.value, score.low, score.high, score.baseline)
        if value is not None
    )


def _strip(score: Score, ends: tuple[float, float], series: int) -> Markup:
    words = f"{score.name} {formatted(score.value)}"
    if score.low is not None and score.high is not None:
        words += f", from {formatted(score.low)} to {formatted(score.high)}"
    if score.baseline is not None:
        words += f"; baseline {formatted(score.baseline)}"
    return strip(Interval(score.value, score.low, score.high), score.baseline, ends, series=series, words=words)


def _labels(source: Source, series: int, evidence: Evidence) -> Labels | None:
    own, held = evidence.sources[source.name].labels, evidence.held_labels
    if own is None:
        return None
    sentence = f"On average label and finding overlap by {_mean(own.defective)}"
    sentence += f", on unseen real images by {_mean(held.defective)}." if held is not None else "."
    if own.missed is not None:
        sentence += f" In {own.missed:.0%} of the images nothing at all is found where the label is"
        sentence += f" (real: {held.missed:.0%})." if held is not None and held.missed is not None else "."
    if own.false_alarms is not None:
        sentence += f" In {own.false_alarms:.0%} of the good images something is found."
    tables = [("class", _rows(own, held, "by_class")), ("size", _rows(own, held, "by_size"))]
    return Labels(source.name, series, sentence, tables, worst_labels(source, evidence))


def _rows(own: LabelFidelity, held: LabelFidelity | None, name: str) -> list[LabelRow]:
    ours: dict[str, Mean] = getattr(own, name)
    real: dict[str, Mean] = getattr(held, name) if held is not None else {}
    nothing = Mean(None, None, None, 0)
    rows = []
    for group in dict.fromkeys([*ours, *real]):
        a, b = ours.get(group, nothing), real.get(group, nothing)
        if a.count or b.count:
            rows.append(LabelRow(group, a.value, a.count, b.value, b.count))
    return rows


def _mean(mean: Mean) -> str:
    if mean.low is None or mean.high is None:
        return formatted(mean.value)
    return f"{formatted(mean.value)} ({formatted(mean.low)} to {formatted(mean.high)})"


def _memory(comparison: Comparison, source: Source, series: int, evidence: Evidence) -> Memory | None:
    found = evidence.sources[source.name].memorization
    if found is None:
        return None
    verdict = found.verdict[:1].upper() + found.verdict[1:]
    sentence = (
        f"{verdict}. {found.share_memorized:.0%} of the images are less than half as far from a training image as an "
        f"unseen real image usually is; of the unseen real images themselves {found.share_expected:.0%}."
    )
    return Memory(source.name, series, sentence, closest_pairs(comparison, source, evidence))


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return " ".join(str(each) for each in value)
    return "–" if value is None else str(value)
