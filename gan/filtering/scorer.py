"""Whether a label is true of its image and the image like real ones: a segmenter, and the features of real images.

Everything is computed on the CPU, in padded batches and with a number of threads that does not follow the machine's,
so that a score is the same on whichever thread, in whichever batch and after whichever interruption it is asked for.
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
from gan.filtering.realism import Likeness, References
from gan.filtering.rule import Rule, Scores
from gan.generation.plan import Picture
from metrics.data.image_set import ImageSet
from metrics.features.cache import FeatureCache
from metrics.features.lite0 import Lite0
from metrics.labels.fidelity import overlaps
from metrics.labels.network import SegmenterSettings
from metrics.labels.segmenter import Segmenter, load_or_train

SEED = 1
"""Of the first segmenter. bench-fid's own is another: a set must not be scored by the very network that chose it."""

THREADS = 1
"""A network's rounding depends on how many computed it; one alone is also not held up where others are busy."""

DIGITS = 4

ShowProgress = Callable[[int, str, str], AbstractContextManager[Progress]]


class Finder(Protocol):
    """What tells where defects are."""

    def probabilities(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Chance of a defect at every pixel, (N, S, S), of windows (N, S, S, C)."""
        ...


@dataclass(frozen=True)
class Judge:
    """Scores pictures.

    Attributes:
        crop_spec: how a written picture becomes what is judged; see `evaluator_crop_spec`.
        finders: one judges a label; empty where labels are not judged.
        likeness: None where realism is not judged.
        digest: names the real images and the networks learnt from them.
        difficulty: of real defects; None where it is not matched.
        unseen: by SHA-256 of a real image the number of the finder that has not learnt from it.
    """

    crop_spec: CropSpec
    finders: tuple[Finder, ...]
    likeness: Likeness | None
    digest: str
    difficulty: Difficulty | None = None
    unseen: Mapping[str, int] = field(default_factory=dict)

    def scores(self, pictures: Sequence[Picture], draws: Sequence[float]) -> list[Scores]:
        """What is to be said of each picture; `draws`, 0..1, tell at the difficulty of which real defect it aims."""
        windows = [crop_of(picture.image, picture.label, self.crop_spec) for picture in pictures]
        images, labels = np.stack([image for image, _ in windows]), np.stack([label for _, label in windows])
        kinds = [picture.kind for picture in pictures]
        nothing: list[float | None] = [None] * len(windows)
        found, real, aims = list(nothing), nothing, nothing
        whose = [0] * len(windows)
        if self.difficulty is not None:
            areas = [int(label.sum()) for label in labels]
            wanted = list(map(self.difficulty.target, kinds, areas, draws))
            aims = [round(aim, DIGITS) for aim, _ in wanted]
            background_stats = [str(picture.columns.get("background", {}).get("sha256")) for picture in pictures]
            whose = [self.unseen.get(ground, fold) for ground, (_, fold) in zip(background_stats, wanted, strict=True)]
        for number, finder in enumerate(self.finders):
            own = [i for i, each in enumerate(whose) if each == number]
            if own:
                values = _rounded(overlaps(finder.probabilities(images[own]) >= 0.5, labels[own]))
                for i, value in zip(own, values, strict=True):
                    found[i] = value
        if self.likeness is not None:
            real = _rounded(self.likeness.realism(images, kinds))
        return [Scores(*three) for three in zip(found, real, aims, strict=True)]


def evaluator_crop_spec(crop_spec: CropSpec, *, photographs: bool) -> CropSpec:
    """How a written picture is cut: a photograph as those of training were, a square one is a window already."""
    return crop_spec if photographs else replace(crop_spec, window=None)


def train_judge(
    references: References,
    crop_spec: CropSpec,
    rule: Rule,
    *,
    photographs: bool,
    folder: Path | None,
    settings: SegmenterSettings | None = None,
    show: ShowProgress | None = None,
) -> Judge:
    """Trains what the rule needs, or takes it from where it was kept.

    Args:
        references: real images.
        crop_spec: how photographs were cut for the generator.
        rule: what is asked for.
        photographs: whether the pictures to be judged are whole photographs.
        folder: where segmenters and features are kept; None keeps nothing.
        settings: of the segmenter.
        show: makes what shows a part of the work: how many, under which label, of what.

    Raises:
        DataError: an image does not open, no defect has a pixel, or the images are all alike.
        WeightsError: ImageNet weights cannot be had.
    """
    progress = show or (lambda total, label, unit: Progress(total, label, quiet=True, unit=unit))
    digest = hashlib.sha256()
    finders: tuple[Segmenter, ...] = ()
    likeness: Likeness | None = None
    difficulty: Difficulty | None = None
    unseen: dict[str, int] = {}
    kept = folder / "segmenters" if folder is not None else None
    chosen = settings or SegmenterSettings()
    try:
        if rule.match_difficulty:
            difficulty, finders, folds = measure_difficulty(
                references.samples, crop_spec, kept, settings=chosen, seed=SEED, threads=THREADS, show=progress
            )
            unseen = dict(zip(references.hashes, folds, strict=True))
            digest.update(difficulty.digest.encode())
        elif rule.judges_labels:
            real = ImageSet("--keep-like", references.samples, crop_spec)
            with progress(chosen.steps, "segmenter of real defects", "step") as bar:
                finders = (
                    load_or_train(real, kept, settings=chosen, seed=SEED, threads=THREADS, on_progress=bar.update),
                )
        for finder in finders:
            for name, tensor in sorted(finder.network.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.contiguous().numpy().tobytes())
        if rule.min_realism:
            defective = ImageSet("--keep-like", references.defective, crop_spec)
            cache = FeatureCache(folder / "features" if folder is not None else None)
            with progress(len(defective), "features of real defects", "image") as bar, threads_set(THREADS):
                likeness = Likeness.of(defective, Lite0(), cache, on_progress=bar.update)
            digest.update(likeness.digest.encode())
    except ValueError as error:
        raise DataError(f"--keep-like: cannot be learnt from ({error})") from None
    return Judge(
        evaluator_crop_spec(crop_spec, photographs=photographs),
        finders,
        likeness,
        digest.hexdigest(),
        difficulty,
        unseen,
    )


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [round(float(value), DIGITS) for value in values]
