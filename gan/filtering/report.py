"""How many candidates were rejected, from what the sample folder records: the same after an interruption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from defects.manifest import NAME as MANIFEST
from engine.files.atomic import from_json
from gan.filtering.rule import TOLERANCE, Rule, Scores

REJECTED = "rejected.jsonl"

Row = Mapping[str, Any]


@dataclass
class Tally:
    """Counts of candidates and images.

    Attributes:
        candidates: Scored ones.
        rejected: Of those.
        images: Written ones.
        left_out: Requested images of which no candidate passed.
        best: Written images of which none passed and the best was taken.
        failed: By which score candidates were rejected; some by several.
    """

    candidates: int = 0
    rejected: int = 0
    images: int = 0
    left_out: int = 0
    best: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Rejected share of the candidates."""
        return self.rejected / self.candidates if self.candidates else 0.0

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "candidates": self.candidates,
            "rejected": self.rejected,
            "rejection_rate": round(self.rate, 4),
            "failed": dict(sorted(self.failed.items())),
            "kept": self.images,
            "best_kept": self.best,
            "left_out": self.left_out,
        }


def tallies(rows: Iterable[Row], rejected: Iterable[Row], rule: Rule) -> tuple[Tally, dict[str, Tally]]:
    """Counts a folder, overall and by class.

    Args:
        rows: Of the manifest.
        rejected: Of `rejected.jsonl`.
        rule: That decided.
    """
    overall, classes = Tally(), dict[str, Tally]()
    for row in rows:
        passed = row["filter"].get("passed", True)
        for tally in (overall, classes.setdefault(row["label"], Tally())):
            tally.images += 1
            tally.candidates += passed
            tally.best += not passed
    for row in rejected:
        last = row["candidate"] == rule.max_attempts - 1
        scores = Scores(row["label_iou"], row["realism"], row.get("aim"))
        for tally in (overall, classes.setdefault(row["label"], Tally())):
            tally.candidates += 1
            tally.rejected += 1
            tally.left_out += last and not rule.write_best
            tally.failed.update(rule.failed(scores))
    return overall, dict(sorted(classes.items()))


def filter_result(out: Path, rule: Rule) -> dict[str, Any]:
    """The counts of a finished folder, for `--json`."""
    overall, classes = tallies(_lines(out / MANIFEST), _lines(out / REJECTED), rule)
    return {**overall.to_dict(), "kinds": {name: tally.to_dict() for name, tally in classes.items()}}


def filter_lines(result: Mapping[str, Any], rule: Rule) -> list[str]:
    """The same for people, and what the filter was trained on."""
    lines = [
        f"filter: trained on {result['real_images']} real images, {result['real_defects']} of them with a defect; "
        f"{result['not_used']} that the generator was not trained on are not used"
    ]
    classes = result.get("kinds")
    if classes is None:
        return lines
    lines.append(_line("filter", result, rule))
    return [*lines, *(_line(f"  {name}", classes[name], rule) for name in classes)] if len(classes) > 1 else lines


def why_empty(out: Path, rule: Rule) -> str:
    """Why no image passed, in one line."""
    rejected = list(_lines(out / REJECTED))
    overall, _ = tallies([], rejected, rule)
    best = []
    if rule.match_difficulty and rejected:
        missed = min(abs(row["label_iou"] - row["aim"]) for row in rejected)
        best.append(f"the nearest label IoU missed its target by {missed:.2f}, and {TOLERANCE:g} passes")
    elif rule.min_label_iou and rejected:
        best.append(f"the best label IoU was {max(row['label_iou'] for row in rejected):.2f} of {rule.min_label_iou:g}")
    if rule.min_realism and rejected:
        best.append(f"the best realism was {max(row['realism'] for row in rejected):.2f} of {rule.min_realism:g}")
    lower = ["--min-label-iou"] if rule.min_label_iou and not rule.match_difficulty else []
    lower += ["--min-realism"] if rule.min_realism else []
    remedies = [f"lower {' or '.join(lower)}"] if lower else []
    return (
        f"all {overall.candidates} candidates of {overall.left_out} images were rejected (100 %; {', '.join(best)}), "
        f"so nothing was written; {', '.join([*remedies, 'raise --max-attempts'])}, or add --write-best"
    )


def _lines(path: Path) -> Iterator[Row]:
    with open(path, "rb") as file:
        yield from map(from_json, file)


def _line(name: str, result: Mapping[str, Any], rule: Rule) -> str:
    why = ", ".join(f"{count} by {score.replace('_', ' ')}" for score, count in result["failed"].items())
    rate = f"{100 * result['rejection_rate']:.1f} %{f'; {why}' if why else ''}"
    text = f"{name}: {result['rejected']} of {result['candidates']} candidates rejected ({rate})"
    attempts = rule.max_attempts
    images, best = result["kept"], result["best_kept"]
    if best:
        return f"{text}; {best} of {images} images are the best of {attempts} that did not pass"
    if result["left_out"]:
        requested = images + result["left_out"]
        return f"{text}; {result['left_out']} of {requested} images had no candidate that passed in {attempts} attempts"
    return text
