"""What was measured, as arrays: the source of the table, the report and the scores of single images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from defects.sample import GOOD, Sample
from engine.commands import Progress
from metrics.bench.results import Missing
from metrics.data.image_set import ImageSet

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
