"""From what a user asks of the filter to a plan with a filter behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UsageError
from gan.filtering.realism import References, open_references
from gan.filtering.rule import Rule
from gan.generation.plan import Plan
from gan.generation.run import check_apart
from metrics.features.cache import user_cache

if TYPE_CHECKING:
    from gan.filtering.candidates import FilteredPlan
    from gan.filtering.scorer import ShowProgress


@dataclass(frozen=True)
class Asked:
    """A filter that was asked for and can be had; nothing is trained yet."""

    rule: Rule
    references: References

    def describe(self) -> dict[str, Any]:
        """What `--json` says of it beforehand."""
        return {
            "real_images": len(self.references.samples),
            "real_defects": len(self.references.defective),
            "not_used": self.references.left_out,
            **self.rule.describe(),
        }


def ask(plan: Plan, keep_like: Path | None, given: Mapping[str, Any], out: Path) -> Asked | None:
    """Checks what was asked for; None where no filter was.

    Args:
        plan: of the run.
        keep_like: folder of real images.
        given: the other options of the filter by flag name; None or False where they are not given.
        out: the sample folder.

    Raises:
        UsageError: options without --keep-like, or out of range.
        DataError: the real images cannot be used.
    """
    options = {flag: value for flag, value in given.items() if value is not None and value is not False}
    if keep_like is None:
        if options:
            raise UsageError(f"{next(iter(options))}: filters by real images; give --keep-like DIR, or leave it out")
        return None
    check_apart("--keep-like", keep_like, out)
    if "--match-difficulty" in options and "--min-label-iou" in options:
        raise UsageError("--match-difficulty and --min-label-iou: each says how well labels are to be found; give one")
    rule = Rule(**{flag.removeprefix("--").replace("-", "_"): value for flag, value in options.items()})
    return Asked(rule, open_references(keep_like, plan.provenance, rule))


def open_filter(plan: Plan, asked: Asked, show: ShowProgress) -> FilteredPlan:
    """Trains the judge, or takes it from the user's cache.

    Raises:
        DataError: the real images cannot be learnt from.
        WeightsError: ImageNet weights cannot be had.
    """
    from gan.filtering.candidates import filtered
    from gan.filtering.scorer import train_judge

    crop_spec = plan.provenance.crop_spec
    if plan.side is not None:  # squares are judged as they are written, which for small ones is far quicker
        crop_spec = replace(crop_spec, size=min(crop_spec.size, plan.side))
    judge = train_judge(
        asked.references,
        crop_spec,
        asked.rule,
        photographs=plan.side is None,
        folder=user_cache("filter"),
        show=show,
    )
    return filtered(plan, judge, asked.rule)
