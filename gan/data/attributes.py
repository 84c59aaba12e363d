"""Guide entries that are not measured on the defect: class, background and declared metadata columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.appearance import luminance
from defects.attributes.guide import GuideValue
from defects.masks.width import Mask
from defects.sample import GOOD, Sample
from engine.errors import UsageError
from gan.config import DataConfig


def column(sample: Sample, name: str) -> Any:
    """A metadata column of a sample, looked up among its raw guide values first; None where it is absent."""
    guide = sample.metadata.get("guide")
    values = guide.get("raw", guide) if isinstance(guide, Mapping) else {}
    return values.get(name, sample.metadata.get(name))


def guide_columns(samples: Sequence[Sample], config: DataConfig) -> list[dict[str, GuideValue]]:
    """For each sample `kind` (the class, where there are several), `background` (if given) and declared columns.

    Raises:
        UsageError: A declared column is missing in a sample.
    """
    classes = sorted({s.label for s in samples if s.label != GOOD})
    rows: list[dict[str, GuideValue]] = [{} for _ in samples]
    for sample, row in zip(samples, rows, strict=True):
        if config.classes and len(classes) > 1:
            row["kind"] = None if sample.label == GOOD else sample.label
        for name in config.columns:
            value = column(sample, name)
            if value is None:
                raise UsageError(
                    f"{sample.image}: no column {name!r}, which the config declares a guide; add it or leave it out",
                    code="E-data-missing-column",
                )
            row[name] = value if isinstance(value, str) else float(value)
    known = [column(sample, "background") for sample in samples]
    if samples and all(isinstance(value, str) for value in known):
        for row, value in zip(rows, known, strict=True):
            row["background"] = value
    return rows


def background_statistics(image: NDArray[np.uint8], mask: Mask) -> NDArray[np.float32]:
    """The features of a background for k-means: means and deviations of the defect-free pixels, and their gradients.

    Args:
        image: (H, W, C) uint8.
        mask: (H, W) defect pixels, left out with a margin of 2 px.

    Returns:
        (2 C + 2,): mean and deviation of each channel, mean absolute horizontal and vertical gradient.
    """
    free = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    if not free.any():
        free = np.ones_like(mask)
    pixels = image[free].astype(np.float32) / 255
    gray = luminance(image)
    across, down = np.abs(np.diff(gray, axis=1)).mean(), np.abs(np.diff(gray, axis=0)).mean()
    return np.concatenate([pixels.mean(0), pixels.std(0), [across, down]]).astype(np.float32)


def cluster_backgrounds(statistics: NDArray[np.float32], count: int, seed: int) -> list[str]:
    """Names `ground-1` .. for each row of `statistics` (N, F), numbered from dark to bright."""
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    count = min(count, len(np.unique(statistics, axis=0)))
    labels = KMeans(count, n_init=10, random_state=seed).fit_predict(StandardScaler().fit_transform(statistics))
    order = np.argsort([statistics[labels == k, 0].mean() for k in range(count)])
    rank = {int(k): position for position, k in enumerate(order)}
    numbers = [rank[int(k)] + 1 for k in labels]
    return [f"ground-{number}" for number in numbers]
