"""The scores of a classifier on images it was not trained on: its classes, and where its maps point.

Crop by crop as the network gets them, and where images are tiled also image by image, the tiles' maps put back together
at the image's own resolution and its probability that of its most suspicious tile.
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
from classify.inference.prediction import best_class, defect_probabilities, enlarged, merge_crops, predict_crops
from classify.models.checkpoint import LoadedClassifier
from defects.images.decode import as_channels, read_sample
from defects.masks.width import Mask
from defects.sample import GOOD
from metrics.localization import Localization, LocalizationCounter, PixelScores


@dataclass(frozen=True)
class Classification:
    """Predicted against true classes.

    Attributes:
        accuracy: share predicted rightly.
        precision: of `defect`; with several classes the mean over those that occur.
        recall: likewise.
        f1: likewise.
        auroc: of defective against good by the probability of any defect; None where only one of them occurs.
        confusion: numbers by true class (rows) and predicted class (columns).
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
class UnitScores:
    """Of crops or images: the classification, and where the maps point; None where no masks are known."""

    classification: Classification
    localization: Localization | None
    sweep: dict[int, PixelScores]


@dataclass(frozen=True)
class Evaluation:
    """One classifier on one set.

    Attributes:
        classes: by number.
        crops: as the network gets them.
        images: put together from tiles; None where images are not tiled.
    """

    classes: tuple[str, ...]
    crops: UnitScores
    images: UnitScores | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        images = None if self.images is None else asdict(self.images)
        return {"classes": self.classes, "squares": asdict(self.crops), "photographs": images}


def evaluate(
    classifier: LoadedClassifier, examples: Examples, on_progress: Callable[[int], object] | None = None
) -> Evaluation:
    """Evaluates a classifier.

    Args:
        classifier: trained on none of the images.
        examples: of it, as `classify.data.dataset.held_out` gives them.
        on_progress: called with the number of images done since the last call.

    Raises:
        DataError: an image does not open.
        ValueError: there are none.
    """
    if not len(examples):
        raise ValueError("expected at least one example, got none")
    tiled = classifier.config.data.tile is not None
    crops, images = _Counter(classifier.classes), _Counter(classifier.classes)
    numbered = enumerate(examples.examples)
    for _, group in groupby(numbered, key=lambda pair: id(pair[1].sample)):
        members = list(group)
        sample = members[0][1].sample
        cut, shape, truth = _cut(examples, members)
        output = predict_crops(classifier, (image for image, _ in cut()))
        if output is None:
            continue
        chances = defect_probabilities(output.probabilities, classifier.classes)
        masks = (mask for _, mask in cut())
        for row, ((_, example), mask) in enumerate(zip(members, masks, strict=True)):
            predicted = best_class(output.probabilities[row], float(chances[row]), classifier.classes)
            crops.rows.append((example.label, predicted, float(chances[row])))
            if sample.has_pixels:
                crops.localization.add(enlarged(output.maps[row], mask.shape), mask, float(chances[row]))
        if tiled:
            places = [example.box for _, example in members if example.box is not None]
            merged = merge_crops(output, places, shape, classifier.classes, tiled=True)
            label = max(example.label for _, example in members)
            images.rows.append((label, classifier.classes.index(merged.label), merged.defect_probability))
            images.localization.add(merged.map, truth, merged.defect_probability)
        if on_progress is not None:
            on_progress(1)
    return Evaluation(classifier.classes, crops.scores(), images.scores() if tiled else None)


def classification(
    labels: Sequence[int], predicted: Sequence[int], chances: Sequence[float], classes: Sequence[str]
) -> Classification:
    """Scores of classes by number, and of the probabilities of any defect.

    Raises:
        ValueError: the counts differ, or there are none.
    """
    if not labels or not len(labels) == len(predicted) == len(chances):
        raise ValueError(f"expected as many labels as predictions, got {len(labels)}, {len(predicted)}, {len(chances)}")
    binary = len(classes) == 2 and classes[0] == GOOD
    present = sorted({*labels, *predicted})
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=[1] if binary else present, average="macro", zero_division=0.0
    )
    defective = np.array([classes[label] != GOOD for label in labels])
    mixed = bool(defective.any() and not defective.all())
    return Classification(
        accuracy=float(np.mean(np.array(labels) == np.array(predicted))),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        auroc=float(roc_auc_score(defective, chances)) if mixed else None,
        confusion=confusion_matrix(labels, predicted, labels=range(len(classes))).tolist(),
        number=len(labels),
    )


class _Counter:
    """Gathers what `UnitScores` needs."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self.localization = LocalizationCounter()
        self.rows: list[tuple[int, int, float]] = []  # label, prediction, probability of a defect

    def scores(self) -> UnitScores:
        labels, predicted, chances = zip(*self.rows, strict=True)
        scores = classification(labels, predicted, chances, self.classes)
        if not self.localization.images:
            return UnitScores(scores, None, {})
        return UnitScores(scores, self.localization.result(), self.localization.sweep())


_Cut = Callable[[], Iterator[tuple[NDArray[np.uint8], Mask]]]


def _cut(examples: Examples, members: Sequence[tuple[int, Example]]) -> tuple[_Cut, tuple[int, ...], Mask]:
    """An image's crops with their masks, at every call anew; its shape and its mask.

    Tiles are cut here rather than read from the examples, which cache every image that they decode.
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
