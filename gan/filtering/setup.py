"""From the filter options of a user to a plan with a filter behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UsageError
from engine.files.atomic import check_apart
from gan.filtering.realism import References, open_references
from gan.filtering.rule import Rule
from gan.generation.plan import Plan
from metrics.features.cache import user_cache

if TYPE_CHECKING:
    from gan.filtering.candidates import FilteredPlan
    from gan.filtering.scorer import ShowProgress


@dataclass(frozen=True)
class FilterRequest:
    """A requested filter whose real images are usable; nothing is trained yet."""

    rule: Rule
    references: References

    def describe(self) -> dict[str, Any]:
        """What `--json` reports beforehand."""
        return {
            "real_images": len(self.references.samples),
            "real_defects": len(self.references.defective),
            "not_used": self.references.left_out,
            **self.rule.describe(),
        }


def request_filter(plan: Plan, real: Path, options: Mapping[str, Any], out: Path) -> FilterRequest:
    """Checks the options.

    Args:
        plan: Of the run.
        real: Folder of real images.
        options: The other options of the filter that are given, by flag name.
        out: The sample folder.

    Raises:
        UsageError: Options contradict each other or are out of range.
        DataError: The real images cannot be used.
    """
    check_apart(out, {"--filter-with": real})
    if "--match-difficulty" in options and "--min-label-iou" in options:
        raise UsageError(
            "--match-difficulty and --min-label-iou both decide how well labels are to be found; give one",
            code="E-filter-two-rules",
        )
    rule = Rule(**{flag.removeprefix("--").replace("-", "_"): value for flag, value in options.items()})
    return FilterRequest(rule, open_references(real, plan.provenance, rule))


def open_filter(plan: Plan, request: FilterRequest, show: ShowProgress) -> FilteredPlan:
    """Trains the scorer, or takes it from the user's cache.

    Raises:
        DataError: The real images are not enough to train it.
        WeightsError: ImageNet weights are not available.
    """
    from gan.filtering.candidates import filtered
    from gan.filtering.scorer import train_scorer

    crop_spec = plan.provenance.crop_spec
    if plan.side is not None:  # crops are scored as they are written, which for small ones is far quicker
        crop_spec = replace(crop_spec, size=min(crop_spec.size, plan.side))
    scorer = train_scorer(
        request.references,
        crop_spec,
        request.rule,
        whole_images=plan.side is None,
        folder=user_cache("filter"),
        show=show,
    )
    return filtered(plan, scorer, request.rule)
