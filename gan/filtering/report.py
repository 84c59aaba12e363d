"""How much was rejected, from what the sample folder records: the same after an interruption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from defects.manifest import NAME as MANIFEST
from engine.files.atomic import from_json
from gan.filtering.rule import TOLERANCE, Rule, Scores
from gan.generation.rejections import NAME as REJECTED

Row = Mapping[str, Any]


@dataclass
class Tally:
    """Candidates counted.

    Attributes:
        candidates: that were judged.
        rejected: of those.
        kept: images that are there.
        left_out: images asked for of which no candidate passed.
        best_kept: images of which none passed and the best was kept.
        failed: by which score candidates were rejected; some by several.
    """

    candidates: int = 0
    rejected: int = 0
    kept: int = 0
    left_out: int = 0
    best_kept: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return self.rejected / self.candidates if self.candidates else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "candidates": self.candidates,
            "rejected": self.rejected,
            "rejection_rate": round(self.rate, 4),
            "failed": dict(sorted(self.failed.items())),
            "kept": self.kept,
            "best_kept": self.best_kept,
            "left_out": self.left_out,
        }


def tallies(rows: Iterable[Row], rejected: Iterable[Row], rule: Rule) -> tuple[Tally, dict[str, Tally]]:
    """Counts a folder, overall and by kind.

    Args:
        rows: of the manifest.
        rejected: of `rejected.jsonl`.
        rule: by which they were kept.
    """
    overall, kinds = Tally(), dict[str, Tally]()
    for row in rows:
        passed = row["filter"].get("passed", True)
        for tally in (overall, kinds.setdefault(row["label"], Tally())):
            tally.kept += 1
            tally.candidates += passed
            tally.best_kept += not passed
    for row in rejected:
        last = row["candidate"] == rule.tries - 1
        for tally in (overall, kinds.setdefault(row["label"], Tally())):
            tally.candidates += 1
            tally.rejected += 1
            tally.left_out += last and not rule.keep_best
            tally.failed.update(rule.failed(_scores(row)))
    return overall, dict(sorted(kinds.items()))


def filter_result(out: Path, rule: Rule) -> dict[str, Any]:
    """What `--json` says of a finished folder."""
    overall, kinds = tallies(_lines(out / MANIFEST), _lines(out / REJECTED), rule)
    return {**overall.to_dict(), "kinds": {kind: tally.to_dict() for kind, tally in kinds.items()}}


def filter_lines(found: Mapping[str, Any], rule: Rule) -> list[str]:
    """The same for people, and what the filter has learnt from."""
    lines = [
        f"filter: learnt from {found['real_images']} real images, {found['real_defects']} of them with a defect; "
        f"{found['not_used']} that the generator was not trained on are not used"
    ]
    kinds = found.get("kinds")
    if kinds is None:
        return lines
    lines.append(_line("filter", found, rule))
    return [*lines, *(_line(f"  {kind}", kinds[kind], rule) for kind in kinds)] if len(kinds) > 1 else lines


def nothing_kept(rejected: Iterable[Row], rule: Rule) -> str:
    """Why a folder would be empty, in one line."""
    tried = list(rejected)
    overall, _ = tallies([], tried, rule)
    found = []
    if rule.match_difficulty and tried:
        missed = min(abs(row["label_iou"] - row["aim"]) for row in tried)
        found.append(f"the nearest label IoU missed its aim by {missed:.2f}, and {TOLERANCE:g} passes")
    elif rule.min_label_iou and tried:
        found.append(f"the best label IoU was {max(row['label_iou'] for row in tried):.2f} of {rule.min_label_iou:g}")
    if rule.min_realism and tried:
        found.append(f"the best realism was {max(row['realism'] for row in tried):.2f} of {rule.min_realism:g}")
    best = ", ".join(found)
    lower = ["--min-label-iou"] if rule.min_label_iou and not rule.match_difficulty else []
    lower += ["--min-realism"] if rule.min_realism else []
    remedies = [f"lower {' or '.join(lower)}"] if lower else []
    return (
        f"all {overall.candidates} candidates of {overall.left_out} images were rejected (100 %; {best}), so nothing "
        f"was made; {', '.join([*remedies, 'raise --tries'])}, or add --keep-best"
    )


def _scores(row: Row) -> Scores:
    return Scores(row["label_iou"], row["realism"], row.get("aim"))


def _lines(path: Path) -> Iterator[Row]:
    with open(path, "rb") as file:
        yield from map(from_json, file)


def _line(name: str, found: Mapping[str, Any], rule: Rule) -> str:
    why = ", ".join(f"{count} by {score.replace('_', ' ')}" for score, count in found["failed"].items())
    rate = f"{100 * found['rejection_rate']:.1f} %{f'; {why}' if why else ''}"
    text = f"{name}: {found['rejected']} of {found['candidates']} candidates rejected ({rate})"
    if found["best_kept"]:
        return f"{text}; {found['best_kept']} of {found['kept']} images are the best of {rule.tries} that did not pass"
    if found["left_out"]:
        asked = found["kept"] + found["left_out"]
        return f"{text}; {found['left_out']} of {asked} images could not be made in {rule.tries} tries"
    return text
