"""What an image shows of each guide entry: its defect's width and brightness, its class or background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.appearance import brightness
from defects.attributes.guide import CategoricalEntry, GuideValue, NumericEntry
from defects.masks.width import Mask, width
from engine.seeding import seed_for
from metrics.data.image_set import ImageSet
from metrics.labels.segmenter import Predictor

_RADIUS = 0.04  # of the side: how far next to the label a found pixel still belongs to its defect
_FOLDS = 5


@dataclass(frozen=True)
class Reading:
    """Measured values of one entry.

    Attributes:
        measured: (N,) on the 0..1 scale, not clipped, or categories; None where nothing can be measured.
        how: How.
        reference: Error or accuracy of the same measuring on real images.
        why: Why there is none; empty when there is one.
    """

    measured: tuple[GuideValue, ...] = ()
    how: str = ""
    reference: float | None = None
    why: str = ""


def numeric_reading(
    entry: NumericEntry,
    images: ImageSet,
    real: ImageSet,
    segmenter: Predictor | None,
    predicted: NDArray[np.bool_] | None = None,
    real_predicted: NDArray[np.bool_] | None = None,
) -> Reading:
    """Thickness by the segmenter, brightness by the label; see `metrics.conditioning.control.control`."""
    if entry.name == "brightness":
        values = [brightness(*crop) if crop[1].any() else None for crop in map(images.read, range(len(images)))]
        how = "mean luminance inside the label minus that of a ring around it"
        return Reading(tuple(_scaled(entry, value) for value in values), how)
    if entry.name != "thickness":
        return Reading(why=f"nothing here can see {entry.name} in an image")
    if segmenter is None:
        return Reading(why="no segmenter; thickness is measured on what it finds in the image")
    found = segmenter.predict(images) if predicted is None else predicted
    measured = tuple(_scaled(entry, value) for value in _widths(found, images.masks()))
    return Reading(
        measured, "width of what the segmenter finds near the label", _reference(entry, real, segmenter, real_predicted)
    )


def near(found: Mask, label: Mask) -> Mask:
    """What of the found pixels lies on the label or a few px next to it."""
    radius = max(2, round(_RADIUS * max(label.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    retained: Mask = found & (cv2.dilate(label.astype(np.uint8), disc) > 0)
    return retained


def recognized(
    entry: CategoricalEntry,
    target: Sequence[GuideValue],
    images: ImageSet,
    real: ImageSet,
    features: NDArray[Any] | None,
    real_features: NDArray[Any] | None,
    seed: int,
) -> Reading:
    """The category that a logistic regression on features takes each image for.

    It is fitted on real images where they carry the category (`class_name` is their label). Where they do not, as with
    backgrounds that were clustered in training, it is fitted on the synthetic images of other masks: that says whether
    the request shows in the image at all, not whether it looks as it should.
    """
    if features is None:
        return Reading(why="no features of the synthetic images")
    if len(features) != len(images):
        raise ValueError(f"expected features of {len(images)} images, got {len(features)}")
    truth = [_class_of(real, number, entry) for number in range(len(real))]
    known = [number for number, value in enumerate(truth) if value in entry.values]
    requested_all = {value for value in target if value is not None}
    shown = {truth[number] for number in known}
    if real_features is not None and len(real_features) != len(real):
        raise ValueError(f"expected features of {len(real)} real images, got {len(real_features)}")
    if real_features is not None and len(shown) > 1 and requested_all <= shown:
        targets = np.asarray([str(truth[number]) for number in known])
        parts = [real.samples[number].part for number in known]
        guessed = _crossed(real_features[known], targets, parts, seed)
        reference = (
            None if guessed is None else float(np.mean([a == b for a, b in zip(guessed, targets, strict=True) if a]))
        )
        model = _classifier(seed).fit(real_features[known], targets)
        measured = tuple(str(value) for value in model.predict(features))
        return Reading(measured, f"logistic regression on features of {len(known)} real images", reference)
    selected = [number for number, value in enumerate(target) if value is not None]
    targets = np.asarray([str(target[number]) for number in selected])
    parts = [
        str(images.samples[number].metadata.get("mask_source", images.samples[number].part)) for number in selected
    ]
    guessed = _crossed(features[selected], targets, parts, seed)
    if guessed is None:
        return Reading(
            why=f"the real images do not show {entry.name}, and too few masks were generated to compare among them"
        )
    measured_all: list[GuideValue] = [None] * len(target)
    for number, value in zip(selected, guessed, strict=True):
        measured_all[number] = value
    how = f"logistic regression on features of the synthetic images of other masks (real ones do not show {entry.name})"
    return Reading(tuple(measured_all), how)


def _reference(
    entry: NumericEntry, real: ImageSet, segmenter: Predictor, predicted: NDArray[np.bool_] | None
) -> float | None:
    """Mean absolute error, on the 0..1 scale, of the measured widths of real defects."""
    found = segmenter.predict(real) if predicted is None else predicted
    labels = real.masks()
    pairs = [
        (value, width(label)) for value, label in zip(_widths(found, labels), labels, strict=True) if value is not None
    ]
    if not pairs:
        return None
    a, b = np.asarray(pairs).T
    return float(np.abs(a - b).mean() / max(entry.high - entry.low, 1e-9))


def _widths(found: NDArray[np.bool_], labels: NDArray[np.bool_]) -> list[float | None]:
    retained = [near(a, b) for a, b in zip(found, labels, strict=True)]
    return [width(mask) if mask.any() else None for mask in retained]


def _scaled(entry: NumericEntry, raw: float | None) -> float | None:
    return None if raw is None else (raw - entry.low) / max(entry.high - entry.low, 1e-9)


def _class_of(real: ImageSet, number: int, entry: CategoricalEntry) -> GuideValue:
    sample = real.samples[number]
    if entry.name == "kind":
        return sample.label
    value = sample.metadata.get("guide", {}).get(entry.name, sample.metadata.get(entry.name))
    return value if isinstance(value, str) else None


def _classifier(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Far more features than images: a strong penalty, and every category weighs the same.
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=0.01, max_iter=2000, class_weight="balanced", random_state=seed_for(seed, "control") % 2**32
        ),
    )


def _crossed(
    features: NDArray[Any], targets: NDArray[np.str_], parts: Sequence[str], seed: int
) -> list[str | None] | None:
    """Each image's class by a model that was trained on no image of its part; None where that cannot be had."""
    from sklearn.model_selection import GroupKFold

    groups = np.unique(np.asarray(parts), return_inverse=True)[1]
    folds = min(_FOLDS, int(groups.max()) + 1 if groups.size else 0)
    if folds < 2:
        return None
    guessed: list[str | None] = [None] * len(targets)
    for train, test in GroupKFold(folds).split(features, targets, groups):
        if len(np.unique(targets[train])) < 2:
            continue
        for number, value in zip(
            test, _classifier(seed).fit(features[train], targets[train]).predict(features[test]), strict=True
        ):
            guessed[number] = str(value)
    return guessed if any(value is not None for value in guessed) else None
