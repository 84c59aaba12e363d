"""How good a classifier is on photographs it has not seen: what it calls them, and where it points.

Square by square as the network sees them, and where photographs are tiled also photograph by photograph, the tiles'
maps put back together at the photograph's own resolution and its probability that of its most suspicious tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from classify.data.examples import Example, Examples, resized
from classify.inference.findings import defect_probabilities, enlarged, predicted, whole
from classify.models.checkpoint import LoadedClassifier
from defects.images.crops import as_channels
from defects.images.decode import read_sample
from defects.masks.width import Mask
from defects.sample import GOOD
from metrics.localization import CERTAIN, Localization, LocalizationCounter, PixelScores


@dataclass(frozen=True)
class Classification:
    """What a set is called against what it is.

    Attributes:
        accuracy: share called rightly.
        precision: of `defect`; with kinds the mean over the classes that occur.
        recall: likewise.
        f1: likewise.
        auroc: of defective against good by the probability of any defect; None where only one of them occurs.
        confusion: numbers by class that it is (rows) and that it is called (columns).
        number: how many.
    """

    accuracy: float
    precision: float
    recall: float
    f1: float
    auroc: float | None
    confusion: list[list[int]]
    number: int


@dataclass(frozen=True)
class Level:
    """Squares, or photographs: how they are classified, and where it points; None where no masks are known."""

    classification: Classification
    localization: Localization | None
    sweep: dict[int, PixelScores]


@dataclass(frozen=True)
class Evaluation:
    """One classifier on one set.

    Attributes:
        classes: by number.
        squares: as the network sees them.
        photographs: put together from tiles; None where photographs are not tiled.
    """

    classes: tuple[str, ...]
    squares: Level
    photographs: Level | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def evaluate(
    classifier: LoadedClassifier, examples: Examples, on_progress: Callable[[int], object] | None = None
) -> Evaluation:
    """Measures a classifier.

    Args:
        classifier: trained on none of the photographs.
        examples: of it, as `classify.data.dataset.held_out` gives them.
        on_progress: told how many photographs more are done.

    Raises:
        DataError: a photograph does not open.
        ValueError: there are none.
    """
    if not len(examples):
        raise ValueError("expected at least one example, got none")
    tiled = classifier.config.data.tile is not None
    squares, photographs = _Counter(classifier.classes), _Counter(classifier.classes)
    numbered = enumerate(examples.examples)
    for _, group in groupby(numbered, key=lambda pair: id(pair[1].sample)):
        members = list(group)
        sample = members[0][1].sample
        cut, shape, truth = _cut(examples, members)
        seen = predicted(classifier, (image for image, _ in cut()))
        if seen is None:
            continue
        chances = defect_probabilities(seen.probabilities, classifier.classes)
        masks = (mask for _, mask in cut())
        for row, ((_, example), mask) in enumerate(zip(members, masks, strict=True)):
            squares.classified(example.label, seen.probabilities[row], float(chances[row]))
            if sample.has_pixels:
                squares.where.add(enlarged(seen.maps[row], mask.shape), mask, float(chances[row]))
        if tiled:
            places = [example.box for _, example in members if example.box is not None]
            finding = whole(seen, places, shape, classifier.classes, tiled=True)
            label = max(example.label for _, example in members)
            photographs.called(label, classifier.classes.index(finding.label), finding.defect)
            photographs.where.add(finding.map, truth, finding.defect)
        if on_progress is not None:
            on_progress(1)
    return Evaluation(classifier.classes, squares.level(), photographs.level() if tiled else None)


def classification(
    labels: Sequence[int], called: Sequence[int], chances: Sequence[float], classes: Sequence[str]
) -> Classification:
    """Scores of classes by number, and of the probabilities of any defect.

    Raises:
        ValueError: the counts differ, or there are none.
    """
    if not labels or not len(labels) == len(called) == len(chances):
        raise ValueError(f"expected as many labels as answers, got {len(labels)}, {len(called)}, {len(chances)}")
    binary = len(classes) == 2 and classes[0] == GOOD
    present = sorted({*labels, *called})
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, called, labels=[1] if binary else present, average="macro", zero_division=0.0
    )
    defective = np.array([classes[label] != GOOD for label in labels])
    mixed = bool(defective.any() and not defective.all())
    return Classification(
        accuracy=float(np.mean(np.array(labels) == np.array(called))),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        auroc=float(roc_auc_score(defective, chances)) if mixed else None,
        confusion=confusion_matrix(labels, called, labels=range(len(classes))).tolist(),
        number=len(labels),
    )


class _Counter:
    """Gathers what a level needs."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self.where = LocalizationCounter()
        self._labels: list[int] = []
        self._called: list[int] = []
        self._chances: list[float] = []

    def called(self, label: int, answer: int, chance: float) -> None:
        self._labels.append(label)
        self._called.append(answer)
        self._chances.append(chance)

    def classified(self, label: int, probabilities: NDArray[np.float32], chance: float) -> None:
        sides = [n for n, name in enumerate(self.classes) if (name != GOOD) == (chance > CERTAIN)]
        self.called(label, max(sides, key=lambda number: probabilities[number]), chance)

    def level(self) -> Level:
        found = classification(self._labels, self._called, self._chances, self.classes)
        if not self.where.images:
            return Level(found, None, {})
        return Level(found, self.where.result(), self.where.sweep())


_Cut = Callable[[], Iterator[tuple[NDArray[np.uint8], Mask]]]


def _cut(examples: Examples, members: Sequence[tuple[int, Example]]) -> tuple[_Cut, tuple[int, ...], Mask]:
    """A photograph's squares with their masks, as often as they are asked for; its shape and its mask.

    Tiles are cut here rather than read from the examples, which keep every photograph that they decode.
    """
    first = members[0][1]
    if first.box is None:
        pairs = [examples.read(index) for index, _ in members]
        return lambda: iter(pairs), pairs[0][1].shape, pairs[0][1]
    image, mask = read_sample(first.sample)
    image = as_channels(image, examples.channels)
    places = [example.box for _, example in members if example.box is not None]

    def cut() -> Iterator[tuple[NDArray[np.uint8], Mask]]:
        for x, y, width, height in places:
            part = slice(y, y + height), slice(x, x + width)
            yield resized(image[part], mask[part], examples.size)

    return cut, mask.shape, mask
