"""Label fidelity: overlap of a label with what the evaluator finds in its image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.seeding import numpy_generator
from metrics.data.image_set import ImageSet
from metrics.labels.segmenter import Predictor

_SIZES = ("small", "medium", "large")
_RESAMPLES = 1000


@dataclass(frozen=True)
class Mean:
    """A mean with its 95 % bootstrap interval; None where there is nothing to take it of.

    The interval resamples whole parts (images of one part or of one mask), since they are not independent.
    """

    value: float | None
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class LabelFidelity:
    """Overlap of written labels with found defects.

    Attributes:
        per_image: (N,) IoU; 1 where both are empty.
        overall: Mean over all images.
        defective: Mean over the images whose label shows a defect: the figure to compare between sets, since a set
            with many good images has a high `overall` for finding nothing in them.
        by_class: Mean for every class, `good` included.
        by_size: Mean for the `small`, `medium` and `large` third of the labels by area.
        size_bounds: Areas in px between the thirds; give them to the other sets that are compared.
        missed: Share of the defective images in which nothing at all was found on the label.
        false_alarms: Share of the good images in which something was found; None without good images.
    """

    per_image: NDArray[np.float64]
    overall: Mean
    defective: Mean
    by_class: dict[str, Mean]
    by_size: dict[str, Mean]
    size_bounds: tuple[float, float]
    missed: float | None
    false_alarms: float | None

    @property
    def mean(self) -> float | None:
        return self.overall.value

    @property
    def low(self) -> float | None:
        return self.overall.low

    @property
    def high(self) -> float | None:
        return self.overall.high

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single images."""
        content = asdict(self)
        del content["per_image"]
        return {"by_kind" if key == "by_class" else key: value for key, value in content.items()}


def label_fidelity(
    segmenter: Predictor,
    images: ImageSet,
    *,
    seed: int = 0,
    size_bounds: tuple[float, float] | None = None,
    predicted: NDArray[np.bool_] | None = None,
) -> LabelFidelity:
    """Overlap of the labels of a set with what the segmenter finds in its images.

    Args:
        segmenter: Trained on real images, none of these among them.
        images: Real or synthetic.
        seed: Of the intervals.
        size_bounds: Areas in px between small, medium and large; None for the thirds of this set.
        predicted: (N, S, S) what the segmenter finds, where that is known already.

    Raises:
        ValueError: The set is empty.
        DataError: An image does not open.
    """
    found = segmenter.predict(images) if predicted is None else predicted
    parts = [sample.part for sample in images.samples]
    return fidelity(found, images.masks(), classes=images.labels, parts=parts, seed=seed, size_bounds=size_bounds)


def fidelity(
    predicted: NDArray[np.bool_],
    labels: NDArray[np.bool_],
    *,
    classes: Sequence[str],
    parts: Sequence[str] | None = None,
    seed: int = 0,
    size_bounds: tuple[float, float] | None = None,
) -> LabelFidelity:
    """`label_fidelity` on plain arrays.

    Args:
        predicted: (N, S, S) what was found.
        labels: (N, S, S) what was written.
        classes: Of every image.
        parts: Images of one part share it; None when all are of their own.
        seed: Of the intervals.
        size_bounds: As for `label_fidelity`.

    Raises:
        ValueError: The set is empty, or the counts differ.
    """
    values = overlaps(predicted, labels)
    if not values.size or len(classes) != values.size:
        raise ValueError(f"expected images and a class for each, got {values.size} and {len(classes)}")
    groups = np.unique(np.asarray(parts if parts is not None else range(values.size)), return_inverse=True)[1]
    names, areas = np.asarray(classes), np.count_nonzero(labels, axis=(1, 2))
    marked = areas > 0
    if size_bounds is None:
        low, high = np.percentile(areas[marked], [100 / 3, 200 / 3]) if marked.any() else (0.0, 0.0)
        size_bounds = float(low), float(high)
    sizes = np.where(areas <= size_bounds[0], 0, np.where(areas <= size_bounds[1], 1, 2))

    def mean(selected: NDArray[np.bool_], name: str) -> Mean:
        return mean_of_groups(values[selected], groups[selected], numpy_generator(seed, "label_fidelity", name))

    found_somewhere = np.count_nonzero(predicted, axis=(1, 2)) > 0
    on_label = np.count_nonzero(predicted & labels, axis=(1, 2)) > 0
    return LabelFidelity(
        per_image=values,
        overall=mean(np.ones_like(marked), "overall"),
        defective=mean(marked, "defective"),
        by_class={str(name): mean(names == name, " ".join(("kind", str(name)))) for name in np.unique(names)},
        by_size={size: mean(marked & (sizes == number), f"size {size}") for number, size in enumerate(_SIZES)},
        size_bounds=size_bounds,
        missed=float(1 - on_label[marked].mean()) if marked.any() else None,
        false_alarms=None if marked.all() else float(found_somewhere[~marked].mean()),
    )


def overlaps(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intersection over union of masks (N, S, S), (N,); 1 where both are empty.

    Raises:
        ValueError: The shapes differ.
    """
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"expected two sets of masks (N, S, S) of one shape, got {a.shape} and {b.shape}")
    both, either = np.count_nonzero(a & b, axis=(1, 2)), np.count_nonzero(a | b, axis=(1, 2))
    return np.where(either == 0, 1.0, both / np.maximum(either, 1)).astype(np.float64)


def mean_of_groups(values: NDArray[np.float64], groups: NDArray[np.intp], rng: np.random.Generator) -> Mean:
    """The mean of values (N,), with an interval by resampling their groups (N,)."""
    if not values.size:
        return Mean(None, None, None, 0)
    _, group = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(group, values), np.bincount(group)
    value = float(values.mean())
    if counts.size < 2:
        return Mean(value, None, None, values.size)
    sampled = rng.integers(0, counts.size, (_RESAMPLES, counts.size))
    low, high = np.percentile(sums[sampled].sum(axis=1) / counts[sampled].sum(axis=1), [2.5, 97.5])
    return Mean(value, float(low), float(high), values.size)
