"""The paper's table: a row for every score, a column for every set, next to what the paper reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from metrics.bench.results import Results, formatted
from metrics.paper.sets import MATCHED, GeneratedSet, Run
from metrics.scores.score import Score


class Published(NamedTuple):
    """One row of the source's table; its features come from networks that are not at hand."""

    name: str
    architecture: str
    inception_score: str
    fid: float


PUBLISHED = (
    Published("CycleGAN", "cyclegan", "2.88 ± 0.25", 91.56),
    Published("Pix2Pix", "pix2pix", "3.08 ± 0.31", 65.09),
    Published("Magna-Defect-GAN", "magna", "3.88 ± 0.36", 50.03),
)


LEADING = ("is", "fid", "kid", "precision", "recall", "coverage")
"""Scores of features, in the order of the table; their names go on with an extractor's."""
NOT_SHOWN = ("density", "fid_infinity")


@dataclass(frozen=True)
class TableEntry:
    """A value with its 95 % interval; None where there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        between = f" ({formatted(self.low)} to {formatted(self.high)})" if self.low is not None else ""
        return f"{formatted(self.value)}{between}"


@dataclass(frozen=True)
class PaperTable:
    """The table.

    Attributes:
        sources: Its columns.
        rows: Name, which way is better, baseline (real images against real ones), and an entry for each source.
        findings: What follows from it, a sentence each.
    """

    sources: tuple[str, ...]
    rows: tuple[tuple[str, str, TableEntry, tuple[TableEntry, ...]], ...]
    findings: tuple[str, ...]

    def markdown(self) -> str:
        """The table, the source's own below it, and the findings."""
        head = ["score", "better", "real", *self.sources]
        lines = [_line(head), _line(["---"] * len(head))]
        lines += [
            _line([name, better, str(baseline), *map(str, entries)]) for name, better, baseline, entries in self.rows
        ]
        lines += ["", _line(["the source reports", "Inception score", "FID"]), _line(["---"] * 3)]
        lines += [_line([row.name, row.inception_score, f"{row.fid:.2f}"]) for row in PUBLISHED]
        return "\n".join([*lines, "", *(f"- {finding}" for finding in self.findings), ""])

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "sources": list(self.sources),
            "rows": [
                {
                    "score": name,
                    "better": better,
                    "real": baseline.value,
                    "cells": {source: vars(entry) for source, entry in zip(self.sources, entries, strict=True)},
                }
                for name, better, baseline, entries in self.rows
            ],
            "source": [row._asdict() for row in PUBLISHED],
            "findings": list(self.findings),
        }


def paper_table(results: Results, runs: Sequence[Run], generated: Sequence[GeneratedSet], extractor: str) -> PaperTable:
    """The table of measured sets.

    Args:
        results: What was measured of them.
        runs: Those of the sets that a run generated.
        generated: All sets of the table.
        extractor: By which distances are given.
    """
    sources = tuple(source.name for source in results.sources)
    scores = {source.name: {score.name: score for score in source.scores} for source in results.sources}
    names = _order(list(dict.fromkeys(name for own in scores.values() for name in own)), extractor)
    rows = [_row(name, [scores[source].get(name) for source in sources]) for name in names]
    trained = {run.name: run.training for run in runs}
    speeds = {one.name: one.speed for one in generated}
    trainings = [trained.get(source) for source in sources]
    rows += [
        ("training images", "", TableEntry(), tuple(TableEntry(float(t.images) if t else None) for t in trainings)),
        (
            "training, minutes",
            "lower",
            TableEntry(),
            tuple(TableEntry(t.seconds / 60 if t else None) for t in trainings),
        ),
        ("images a second", "higher", TableEntry(), tuple(TableEntry(speeds.get(source)) for source in sources)),
    ]
    architectures = {run.provenance.architecture: run.name for run in reversed(runs)}
    findings = _findings(scores, architectures, extractor)
    findings += [
        f"{name}: {1 - t.timed:.0%} of its epochs were not timed and are taken for as long as the others"
        for name, t in trained.items()
        if t is not None and t.timed < 1
    ]
    return PaperTable(sources, tuple(rows), tuple(findings))


def _order(names: Sequence[str], extractor: str) -> list[str]:
    suffix = "" if extractor == "inception" else f"_{extractor}"
    leading = [f"{name}{suffix}" for name in LEADING]
    hidden = {f"{name}{suffix}" for name in NOT_SHOWN}
    return [name for name in leading if name in names] + [n for n in names if n not in leading and n not in hidden]


def _row(name: str, found: Sequence[Score | None]) -> tuple[str, str, TableEntry, tuple[TableEntry, ...]]:
    known = [score for score in found if score is not None]
    baseline = next((score.baseline for score in known if score.baseline is not None), None)
    entries = tuple(
        TableEntry(score.value, score.low, score.high) if score is not None else TableEntry() for score in found
    )
    return name, known[0].better, TableEntry(baseline), entries


def _findings(
    scores: Mapping[str, Mapping[str, Score]], architectures: Mapping[str | None, str], extractor: str
) -> list[str]:
    """Whether the source's order holds, and how Magna-Blend stands next to Pix2Pix."""
    suffix = "" if extractor == "inception" else f"_{extractor}"
    found = []
    named = [architectures.get(row.architecture) for row in PUBLISHED]
    if all(named):
        chain = [scores[name][f"fid{suffix}"] for name in named if name]
        values = [score.value for score in chain]
        text = ", ".join(f"{name} {formatted(value)}" for name, value in zip(named, values, strict=True))
        if all(value is not None for value in values):
            apart = all(a.low is not None and b.high is not None and a.low > b.high for a, b in pairwise(chain))
            holds = values == sorted(values, key=lambda value: -(value or 0.0))
            verdict = "holds" if holds else "does not hold"
            sure = "" if apart or not holds else ", though the intervals overlap"
            found.append(f"The source's order of FID, CycleGAN > Pix2Pix > Magna, {verdict} here{sure}: {text}.")
    blend, peer = architectures.get("blend"), architectures.get("pix2pix")
    if blend and peer:
        for name in (blend, f"{blend}{MATCHED}"):
            found += _compared(name, peer, scores, suffix) if name in scores else []
    return found


def _compared(blend: str, peer: str, scores: Mapping[str, Mapping[str, Score]], suffix: str) -> list[str]:
    found = []
    for short in ("fid", "kid"):
        ours, theirs = scores[blend][f"{short}{suffix}"].value, scores[peer][f"{short}{suffix}"].value
        if ours is not None and theirs:
            found.append(f"{short.upper()} of {blend} is {ours / theirs:.2f} times that of {peer}.")
    label = scores[blend].get("label_iou")
    if label is not None and label.value is not None and label.baseline is not None:
        how = ", whose images were chosen by label IoU, by other segmenters," if blend.endswith(MATCHED) else ""
        comparison_text = f"the same segmenter has {formatted(label.baseline)} on unseen real images"
        found.append(f"Label IoU of {blend}{how} is {formatted(label.value)}; {comparison_text}.")
    return found


def _line(entries: Sequence[str]) -> str:
    return f"| {' | '.join(entries)} |"
