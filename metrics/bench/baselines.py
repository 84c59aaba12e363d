"""What real images score: the mark beside which a synthetic set is read."""

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


class RealFloors:
    """Floors of one extractor.

    Where real training images are at hand, as many of them as there are synthetic ones are scored against the same real
    images: they are of other parts, as those of a perfect generator would be, and their number shifts a score alike.
    Without them the floor stays that of the halves of the real images; when these show few parts, each half is of a few
    parts only, and two halves differ by more than synthetic images need to.

    Args:
        comparison: The sets.
        bank: Features of the real images.
        learnt: The real training images, of the kinds that are compared.
    """

    def __init__(self, comparison: Comparison, bank: FeatureBank, learnt: ImageSet) -> None:
        apart = not comparison.division.halved and not comparison.division.leaked
        self._learnt = learnt if apart and len(learnt) >= _LEAST else None
        self._comparison = comparison
        self._bank = bank
        self._known: dict[int, dict[str, float | None]] = {}
        self.notes: list[str] = []
        parts = len({sample.part for sample in comparison.real.samples})
        if self._learnt is None and parts < _PARTS:
            self.notes.append(
                f"the {len(comparison.real)} real images show {parts} parts only: the floors, of one half of the parts "
                "against the other, are rough"
            )

    def put(self, scores: Sequence[Score]) -> list[Score]:
        """The scores of one source with their floors, whose kind is told beside the estimator."""
        if self._learnt is None:
            return [
                replace(score, estimator=f"{score.estimator}; floor: real halves, parts kept together")
                if score.floor is not None
                else score
                for score in scores
            ]
        wanted = max(score.n_fake for score in scores)
        count = min(len(self._learnt), wanted)
        these = "as many" if count == wanted else f"all {count}"
        if count not in self._known:
            self._known[count] = self._scored(self._learnt, count, scores[0].extractor)
        floors = self._known[count]
        return [
            replace(
                score, floor=floors[score.name], estimator=f"{score.estimator}; floor: {these} real training images"
            )
            if floors.get(score.name) is not None
            else replace(score, floor=None)
            for score in scores
        ]

    def _scored(self, learnt: ImageSet, count: int, extractor: str) -> dict[str, float | None]:
        seed = self._comparison.request.seed
        drawn = numpy_generator(seed, "floor", count).choice(len(learnt), count, replace=False)
        found = score_table(
            real=self._bank.of(self._comparison.real),
            fake=self._bank.of(learnt.part(sorted(drawn.tolist()))),
            logits=None,
            extractor=extractor,
            resize="",
            seed=seed,
            resamples=_RESAMPLES,
        )
        return {score.name: score.value for score in found}
