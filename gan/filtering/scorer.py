"""The scorer of a filter: whether a label is true of its image, by a segmenter, and the image realistic, by features.

Everything is computed on the CPU, in padded batches and with a fixed number of threads, so that a score is the same on
whichever thread, in whichever batch and after whichever interruption it is computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from defects.images.crops import CropSpec, crop_of
from engine.commands import Progress
from engine.errors import DataError
from engine.runtime.threads import threads_set
from gan.filtering.difficulty import Difficulty, measure_difficulty
from gan.filtering.realism import RealismScorer, References
from gan.filtering.rule import Rule, Scores
from gan.generation.plan import GeneratedImage
from metrics.data.image_set import ImageSet
from metrics.features.cache import FeatureCache
from metrics.features.lite0 import Lite0
from metrics.labels.fidelity import overlaps
from metrics.labels.network import SegmenterSettings
from metrics.labels.segmenter import Segmenter, load_or_train

SEED = 1
"""Of the first segmenter. bench-fid's is another: a set must not be scored by the very network that selected it."""
THREADS = 1
"""A network's rounding depends on how many threads computed it; one alone is also not held up where others are busy."""
DIGITS = 4

ShowProgress = Callable[[int, str, str], AbstractContextManager[Progress]]


class LabelSegmenter(Protocol):
    """Predicts where defects are."""

    def probabilities(self, crops: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Probability of a defect at every pixel, (N, S, S), of crops (N, S, S, C)."""
        ...


@dataclass(frozen=True)
class Scorer:
    """Scores generated images.

    Attributes:
        crop_spec: How a written image becomes a scored crop; see `scored_crop_spec`.
        segmenters: One scores a label; empty where labels are not scored.
        realism: None where realism is not scored.
        digest: Identifies the real images and the networks trained on them.
        difficulty: Of real defects; None where it is not matched.
        unseen: By SHA-256 of a real image the number of the segmenter that was not trained on it.
    """

    crop_spec: CropSpec
    segmenters: tuple[LabelSegmenter, ...]
    realism: RealismScorer | None
    digest: str
    difficulty: Difficulty | None = None
    unseen: Mapping[str, int] = field(default_factory=dict)

    def scores(self, images: Sequence[GeneratedImage], shares: Sequence[float]) -> list[Scores]:
        """The scores of each image; `shares`, 0..1, select the real defect whose difficulty is its target."""
        crops = [crop_of(image.pixels, image.mask, self.crop_spec) for image in images]
        pixels, masks = np.stack([crop for crop, _ in crops]), np.stack([mask for _, mask in crops])
        labels = [image.label for image in images]
        nothing: list[float | None] = [None] * len(crops)
        ious, realism, targets = list(nothing), nothing, nothing
        numbers = [0] * len(crops)
        if self.difficulty is not None:
            areas = [int(mask.sum()) for mask in masks]
            selected = list(map(self.difficulty.target, labels, areas, shares))
            targets = [round(target, DIGITS) for target, _ in selected]
            backgrounds = [str(image.columns.get("background", {}).get("sha256")) for image in images]
            numbers = [self.unseen.get(sha256, fold) for sha256, (_, fold) in zip(backgrounds, selected, strict=True)]
        for number, segmenter in enumerate(self.segmenters):
            scored = [i for i, each in enumerate(numbers) if each == number]
            if scored:
                values = _rounded(overlaps(segmenter.probabilities(pixels[scored]) >= 0.5, masks[scored]))
                for i, value in zip(scored, values, strict=True):
                    ious[i] = value
        if self.realism is not None:
            realism = _rounded(self.realism.realism(pixels, labels))
        return [Scores(*three) for three in zip(ious, realism, targets, strict=True)]


def scored_crop_spec(crop_spec: CropSpec, *, whole_images: bool) -> CropSpec:
    """How a written image is cropped: one of any size as in training, one at `--size` is a crop already."""
    return crop_spec if whole_images else replace(crop_spec, crop=None)


def train_scorer(
    references: References,
    crop_spec: CropSpec,
    rule: Rule,
    *,
    whole_images: bool,
    folder: Path | None,
    settings: SegmenterSettings | None = None,
    show: ShowProgress | None = None,
) -> Scorer:
    """Trains what the rule needs, or takes it from the cache.

    Args:
        references: Real images.
        crop_spec: How images were cropped for the generator.
        rule: Of the filter.
        whole_images: Whether the generated images have the sizes of their backgrounds.
        folder: Cache of segmenters and features; None caches nothing.
        settings: Of the segmenter.
        show: Makes the progress bar of one step: its total, label and unit.

    Raises:
        DataError: An image does not open, no defect has a pixel, or the images are all alike.
        WeightsError: ImageNet weights are not available.
    """
    progress = show or (lambda total, label, unit: Progress(total, label, quiet=True, unit=unit))
    digest = hashlib.sha256()
    segmenters: tuple[Segmenter, ...] = ()
    realism: RealismScorer | None = None
    difficulty: Difficulty | None = None
    unseen: dict[str, int] = {}
    cache = folder / "segmenters" if folder is not None else None
    settings = settings or SegmenterSettings()
    try:
        if rule.match_difficulty:
            difficulty, segmenters, folds = measure_difficulty(
                references.samples, crop_spec, cache, settings=settings, seed=SEED, threads=THREADS, show=progress
            )
            unseen = dict(zip(references.hashes, folds, strict=True))
            digest.update(difficulty.digest.encode())
        elif rule.scores_labels:
            real = ImageSet("--filter-with", references.samples, crop_spec)
            with progress(settings.steps, "segmenter of real defects", "step") as bar:
                segmenters = (
                    load_or_train(real, cache, settings=settings, seed=SEED, threads=THREADS, on_progress=bar.update),
                )
        for segmenter in segmenters:
            for name, tensor in sorted(segmenter.network.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.contiguous().numpy().tobytes())
        if rule.min_realism:
            defective = ImageSet("--filter-with", references.defective, crop_spec)
            features = FeatureCache(folder / "features" if folder is not None else None)
            with progress(len(defective), "features of real defects", "image") as bar, threads_set(THREADS):
                realism = RealismScorer.of(defective, Lite0(), features, on_progress=bar.update)
            digest.update(realism.digest.encode())
    except ValueError as error:
        raise DataError(f"--filter-with: cannot be used for training ({error})", code="E-filter-training") from None
    return Scorer(
        scored_crop_spec(crop_spec, whole_images=whole_images),
        segmenters,
        realism,
        digest.hexdigest(),
        difficulty,
        unseen,
    )


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [round(float(value), DIGITS) for value in values]
