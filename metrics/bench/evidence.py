"""What was measured, as arrays; and the real-vs-real baselines of its scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from defects.sample import GOOD, Sample
from engine.commands import Progress
from engine.seeding import numpy_generator
from metrics.bench.comparison import Comparison
from metrics.bench.results import Missing
from metrics.data.image_set import ImageSet
from metrics.scores.score import Score
from metrics.scores.table import score_table

if TYPE_CHECKING:
    from metrics.conditioning.control import Control
    from metrics.conditioning.diversity import Diversity
    from metrics.labels.fidelity import LabelFidelity
    from metrics.labels.segmenter import Predictor
    from metrics.memorization import Memorization
    from metrics.scores.score import Score

ProgressOf = Callable[[int, str, str], Progress]
"""Shows a part of the work: how many there are, under which label, and what is counted."""


class FeatureBank:
    """Features of one extractor by sample, so that sets that overlap are extracted once.

    Args:
        extractor: Its name.
        resize: How images were resized to its input.
    """

    def __init__(self, extractor: str, resize: str) -> None:
        self.extractor = extractor
        self.resize = resize
        # The samples are held, so that no other takes the place in memory by which they are known.
        self._rows: dict[int, tuple[Sample, NDArray[np.float32]]] = {}

    def add(self, images: ImageSet, values: NDArray[np.float32]) -> None:
        """Take the features (N, D) of a set."""
        for sample, row in zip(images.samples, values, strict=True):
            self._rows[id(sample)] = sample, row

    def of(self, images: ImageSet) -> NDArray[np.float32]:
        """The features of a set, (M, D); at least one image.

        Raises:
            KeyError: A sample was not extracted.
        """
        return np.stack([self._rows[id(sample)][1] for sample in images.samples])


@dataclass
class SourceEvidence:
    """What was measured of one synthetic set; None where it was not.

    Attributes:
        scores: Every score.
        labels: Overlap of the segmenter's predictions with the labels.
        predicted: What the segmenter found, (N, S, S).
        control: Requested against measured.
        diversity: Spread at fixed mask and guide.
        memorization: Distance to the training images.
        realism: Of each image, (N,).
    """

    scores: list[Score] = field(default_factory=list)
    labels: LabelFidelity | None = None
    predicted: NDArray[np.bool_] | None = None
    control: Control | None = None
    diversity: Diversity | None = None
    memorization: Memorization | None = None
    realism: NDArray[np.float64] | None = None


@dataclass
class Evidence:
    """What was measured of all sets.

    Attributes:
        sources: By name, in order.
        segmenter: Trained on real images.
        learned: How many those were.
        held_labels: Overlap of the segmenter on real images that it was not trained on.
        held_predicted: What it found there, (N, S, S).
        banks: Features by extractor, the first the one that scores single images.
        places: Groups of the map with their points (N, 2).
        perplexity: Of the map.
        missing: What could not be computed.
        notes: What the reader has to know besides.
    """

    sources: dict[str, SourceEvidence]
    segmenter: Predictor | None = None
    trained_on: int = 0
    held_labels: LabelFidelity | None = None
    held_predicted: NDArray[np.bool_] | None = None
    banks: dict[str, FeatureBank] = field(default_factory=dict)
    places: Sequence[tuple[ImageSet, NDArray[np.float64]]] = ()
    perplexity: float | None = None
    missing: list[Missing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def bank(self) -> FeatureBank:
        """The features by which single images are scored: those of the first extractor."""
        return next(iter(self.banks.values()))

    def lack(self, what: str, why: str, source: str = "") -> None:
        """Note what could not be computed."""
        self.missing.append(Missing(what, why, source))


def like(images: ImageSet, *, good: bool) -> ImageSet:
    """The images of defects, or with `good` all of them."""
    return images.part([at for at, label in enumerate(images.labels) if good or label != GOOD])


def union(sets: Sequence[ImageSet]) -> ImageSet:
    """Every sample once, in the order of the sets, which are all cut by one framing."""
    samples: dict[int, Sample] = {}
    for images in sets:
        samples.update((id(sample), sample) for sample in images.samples)
    return ImageSet("real", list(samples.values()), sets[0].crop_spec).share(sets[0])


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
