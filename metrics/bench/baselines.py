"""Real-vs-real baselines: the scores of real images, next to which those of a synthetic set are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.seeding import numpy_generator
from metrics.bench.comparison import Comparison
from metrics.bench.evidence import FeatureBank
from metrics.data.image_set import ImageSet
from metrics.scores.score import Score
from metrics.scores.table import score_table

_LEAST = 20
_PARTS = 20
_RESAMPLES = 20


class RealBaselines:
    """Real-vs-real baselines of one extractor.

    Where real training images are at hand, as many of them as there are synthetic ones are scored against the same real
    images: they are of other parts, as those of a perfect generator would be, and their number shifts a score alike.
    Without them the baseline is that of the halves of the real images; when these show few parts, each half is of a few
    parts only, and two halves differ by more than synthetic images need to.

    Args:
        comparison: The sets.
        bank: Features of the real images.
        learned: The real training images, of the classes that are compared.
    """

    def __init__(self, comparison: Comparison, bank: FeatureBank, trained_on: ImageSet) -> None:
        apart = not comparison.division.halved and not comparison.division.leaked
        self._trained_on = trained_on if apart and len(trained_on) >= _LEAST else None
        self._comparison = comparison
        self._bank = bank
        self._known: dict[int, dict[str, float | None]] = {}
        self.notes: list[str] = []
        parts = len({sample.part for sample in comparison.real.samples})
        if self._trained_on is None and parts < _PARTS:
            self.notes.append(
                f"the {len(comparison.real)} real images show {parts} parts only: the baselines of one half of them "
                "against the other, are rough"
            )

    def put(self, scores: Sequence[Score]) -> list[Score]:
        """The scores of one source with their baselines; the estimator names their origin."""
        if self._trained_on is None:
            return [
                replace(score, estimator=f"{score.estimator}; baseline: real halves, groups not split")
                if score.baseline is not None
                else score
                for score in scores
            ]
        target = max(score.n_fake for score in scores)
        count = min(len(self._trained_on), target)
        these = "as many" if count == target else f"all {count}"
        if count not in self._known:
            self._known[count] = self._scored(self._trained_on, count, scores[0].extractor)
        baselines = self._known[count]
        return [
            replace(
                score,
                baseline=baselines[score.name],
                estimator=f"{score.estimator}; baseline: {these} real training images",
            )
            if baselines.get(score.name) is not None
            else replace(score, baseline=None)
            for score in scores
        ]

    def _scored(self, trained_on: ImageSet, count: int, extractor: str) -> dict[str, float | None]:
        seed = self._comparison.request.seed
        sampled = numpy_generator(seed, "floor", count).choice(len(trained_on), count, replace=False)
        found = score_table(
            real=self._bank.of(self._comparison.real),
            fake=self._bank.of(trained_on.part(sorted(sampled.tolist()))),
            logits=None,
            extractor=extractor,
            resize="",
            seed=seed,
            resamples=_RESAMPLES,
        )
        return {score.name: score.value for score in found}
