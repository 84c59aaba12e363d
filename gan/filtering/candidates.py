"""A plan that makes several candidates of an image and keeps the first that passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.seeding import numpy_generator
from gan.filtering.report import nothing_kept
from gan.filtering.rule import Rule, Scores
from gan.filtering.scorer import Judge
from gan.generation.jobs import Job
from gan.generation.plan import Picture, Plan

GROUP = 16
"""Pictures that are judged together: as many as the extractor of features takes at once."""

PHOTOGRAPHS = 4
"""The same of whole photographs, which take more memory."""


@dataclass(frozen=True, kw_only=True)
class FilteredPlan(Plan):
    """What a run makes, with what, and what of it is kept; see `Plan`.

    Candidate 0 of a job is the image that its plan makes without a filter.

    Attributes:
        plan: makes the candidates.
        judge: scores them.
        rule: says which are kept.
    """

    plan: Plan
    judge: Judge
    rule: Rule

    @property
    def side(self) -> int | None:
        """See `Plan.side`."""
        return self.plan.side

    def remarks(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """See `Plan.remarks`."""
        return self.plan.remarks(rows)

    @property
    def count(self) -> int:
        """See `Plan.count`: whole micro-batches of the plan, so that candidate 0 keeps its bytes."""
        group = PHOTOGRAPHS if self.side is None else GROUP
        return self.plan.count * -(-group // self.plan.count)

    @property
    def leaves_out(self) -> bool:
        """See `Plan.leaves_out`."""
        return True

    def refusal(self, rejected: Iterable[Mapping[str, Any]]) -> str:
        """See `Plan.refusal`."""
        return nothing_kept(rejected, self.rule)

    def draw(self, jobs: Sequence[Job]) -> list[Picture]:
        """See `Plan.draw`; a picture that is not to be kept is marked so."""
        waiting = list(range(len(jobs)))
        chosen: dict[int, tuple[float, Picture]] = {}
        rejected: list[list[dict[str, Any]]] = [[] for _ in jobs]
        for candidate in range(self.rule.tries):
            tried = [replace(jobs[i], candidate=candidate) for i in waiting]
            pictures = self._drawn(tried)
            failing = []
            judged = self.judge.scores(pictures, [self._share(job) for job in tried])
            for i, picture, scores in zip(waiting, pictures, judged, strict=True):
                passed = not self.rule.failed(scores)
                if not passed:
                    failing.append(i)
                    rejected[i].append(_rejection(jobs[i], candidate, picture, scores))
                worth = self.rule.worth(scores)
                if passed or i not in chosen or worth > chosen[i][0]:
                    chosen[i] = worth, self._marked(picture, scores, candidate, passed=passed)
            waiting = failing
            if not waiting:
                break
        return [replace(chosen[i][1], rejected=tuple(rejected[i])) for i in range(len(jobs))]

    def _drawn(self, jobs: Sequence[Job]) -> list[Picture]:
        size = self.plan.count
        return [
            picture for start in range(0, len(jobs), size) for picture in self.plan.draw(jobs[start : start + size])
        ]

    def _share(self, job: Job) -> float:
        """Which real defect the candidates of a job are to be as hard to find as, of those of a candidate's area."""
        return float(numpy_generator(self.jobs.request.seed, "difficulty", job.name).random())

    def _marked(self, picture: Picture, scores: Scores, candidate: int, *, passed: bool) -> Picture:
        column: dict[str, Any] = scores.row() | {"candidate": candidate}
        if self.rule.keep_best:
            column["passed"] = passed
        columns = {**picture.columns, "filter": column}
        return replace(picture, columns=columns, kept=passed or self.rule.keep_best)


def _rejection(job: Job, candidate: int, picture: Picture, scores: Scores) -> dict[str, Any]:
    """A row of `rejected.jsonl`."""
    return {"name": job.name, "candidate": candidate, "label": picture.kind, **scores.row()}


def filtered(plan: Plan, judge: Judge, rule: Rule) -> FilteredPlan:
    """The plan with a filter behind it."""
    return FilteredPlan(
        jobs=plan.jobs,
        painter=plan.painter,
        checkpoint=plan.checkpoint,
        description=plan.description | {"keep-like": judge.digest, **rule.describe()},
        provenance=plan.provenance,
        warnings=plan.warnings,
        notes=plan.notes,
        plan=plan,
        judge=judge,
        rule=rule,
    )
