"""A plan that generates several candidates of an image and writes the first that passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from engine.files.json_lines import LineLog
from engine.run.sample_folder import Item
from engine.seeding import numpy_generator
from gan.filtering.report import REJECTED, why_empty
from gan.filtering.rule import Rule, Scores
from gan.filtering.scorer import Scorer
from gan.generation.jobs import Job
from gan.generation.plan import GeneratedImage, Plan

GROUP = 16
"""Images that are scored together: as many as the extractor of features takes at once."""
WHOLE_IMAGES = 4
"""The same of images of any size, which take more memory."""


@dataclass(frozen=True, kw_only=True)
class FilteredPlan(Plan):
    """What a run generates, with what, and which of it passes; see `Plan`.

    Candidate 0 of a job is the image that its plan generates without a filter.

    Attributes:
        plan: Generates the candidates.
        scorer: Scores them.
        rule: Decides which pass.
    """

    plan: Plan
    scorer: Scorer
    rule: Rule

    optional: ClassVar[bool] = True
    logs: ClassVar[tuple[str, ...]] = (REJECTED,)

    @property
    def side(self) -> int | None:
        """See `Plan.side`."""
        return self.plan.side

    @property
    def micro_batch(self) -> int:
        """See `Plan.micro_batch`: whole micro-batches of the plan, so that candidate 0 has its bytes."""
        group = WHOLE_IMAGES if self.side is None else GROUP
        return self.plan.micro_batch * -(-group // self.plan.micro_batch)

    def warnings_of(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """See `Plan.warnings_of`."""
        return self.plan.warnings_of(rows)

    def why_empty(self, out: Path) -> str:
        """See `Plan.why_empty`."""
        return why_empty(out, self.rule)

    @contextmanager
    def log_rejections(self, out: Path, done: int) -> Iterator[Callable[[Sequence[Item]], object]]:
        """Writes `rejected.jsonl`: a row for each rejected candidate, in the order of the jobs.

        Rows of a job are written before those of the manifest that come after it, so that the rows of an interrupted
        run are cut back to where its manifest ends.
        """
        with LineLog(out / REJECTED) as log:
            at = count = 0
            for row in log.stream():
                while at < done and self.jobs[at].name != row.get("name"):
                    at += 1
                if at == done:
                    break
                count += 1
            log.truncate(count)
            yield lambda items: log.append([row for item in items for row in item.extra])

    def generate(self, jobs: Sequence[Job]) -> list[GeneratedImage]:
        """See `Plan.generate`; an image of which no candidate passes is marked so."""
        waiting = list(range(len(jobs)))
        best: dict[int, tuple[float, GeneratedImage]] = {}
        rejected: list[list[dict[str, Any]]] = [[] for _ in jobs]
        for candidate in range(self.rule.max_attempts):
            tried = [replace(jobs[i], candidate=candidate) for i in waiting]
            images = self._candidates(tried)
            failing = []
            scored = self.scorer.scores(images, [self._share(job) for job in tried])
            for i, image, scores in zip(waiting, images, scored, strict=True):
                passed = not self.rule.failed(scores)
                if not passed:
                    failing.append(i)
                    row = {"name": jobs[i].name, "candidate": candidate, "label": image.label, **scores.row()}
                    rejected[i].append(row)
                worth = self.rule.worth(scores)
                if passed or i not in best or worth > best[i][0]:
                    best[i] = worth, self._marked(image, scores, candidate, passed=passed)
            waiting = failing
            if not waiting:
                break
        return [replace(best[i][1], rejected=tuple(rejected[i])) for i in range(len(jobs))]

    def _candidates(self, jobs: Sequence[Job]) -> list[GeneratedImage]:
        size = self.plan.micro_batch
        batches = (jobs[start : start + size] for start in range(0, len(jobs), size))
        return [image for batch in batches for image in self.plan.generate(batch)]

    def _share(self, job: Job) -> float:
        """Selects the real defect whose difficulty the candidates of a job match, among those of a candidate's area."""
        return float(numpy_generator(self.jobs.request.seed, "difficulty", job.name).random())

    def _marked(self, image: GeneratedImage, scores: Scores, candidate: int, *, passed: bool) -> GeneratedImage:
        column: dict[str, Any] = scores.row() | {"candidate": candidate}
        if self.rule.write_best:
            column["passed"] = passed
        columns = {**image.columns, "filter": column}
        return replace(image, columns=columns, passed=passed or self.rule.write_best)


def filtered(plan: Plan, scorer: Scorer, rule: Rule) -> FilteredPlan:
    """The plan with a filter behind it."""
    return FilteredPlan(
        jobs=plan.jobs,
        sampler=plan.sampler,
        checkpoint=plan.checkpoint,
        description=plan.description | {"keep-like": scorer.digest, **rule.describe()},
        provenance=plan.provenance,
        warnings=plan.warnings,
        notes=plan.notes,
        plan=plan,
        scorer=scorer,
        rule=rule,
    )
