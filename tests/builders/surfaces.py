"""Folders of small images of a brushed metal surface, with and without defects."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from defects.sample import GOOD, Sample
from tests.builders import save

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SHAPE = (96, 128)


def surface(seed: int, *, level: float = 120, shape: tuple[int, int] = SHAPE, channels: int = 1) -> Pixels:
    """(H, W, C) vertical grinding marks under a light that falls off to one side."""
    rng = np.random.default_rng(seed)
    marks = rng.normal(0, 6, (1, shape[1], 1)) + rng.normal(0, 3, (*shape, 1))
    light = np.linspace(0.85, 1.15, shape[1]).reshape(1, -1, 1)
    return np.clip(np.repeat(level * light + marks, channels, axis=2), 0, 255).astype(np.uint8)


def blob(center: tuple[int, int], axes: tuple[int, int], shape: tuple[int, int] = SHAPE) -> Mask:
    """(H, W) an ellipse around (x, y), cut off at the border."""
    return np.asarray(cv2.ellipse(np.zeros(shape, np.uint8), center, axes, 20, 0, 360, 1, -1) > 0)


def with_defect(image: Pixels, mask: Mask, change: int = -70) -> Pixels:
    """The image, darker or brighter under the mask."""
    changed = np.clip(image.astype(np.int64) + change * mask[..., None], 0, 255)
    return np.asarray(changed, np.uint8)


def good(root: Path, count: int = 4, *, level: float = 120, channels: int = 1) -> list[Sample]:
    """Good samples, two of a specimen."""
    return [
        Sample(
            f"good_{i}",
            save(root / "good" / f"good_{i}.png", surface(100 + i, level=level, channels=channels)),
            group=f"part_{i // 2}",
        )
        for i in range(count)
    ]


def defective(
    root: Path, class_name: str = "pit", count: int = 4, *, edge: bool = False, change: int = -70
) -> list[Sample]:
    """Samples with one defect each, of growing size; `edge` puts them at the left border."""
    samples = []
    for i in range(count):
        mask = blob((0 if edge else 50 + 6 * i, 40 + 3 * i), (6 + 2 * i, 4 + i))
        image = save(root / class_name / f"{class_name}_{i}.png", with_defect(surface(i), mask, change))
        mask_file = save(root / f"{class_name}_masks" / f"{class_name}_{i}.png", mask)
        samples.append(
            Sample(f"{class_name}_{i}", image, mask_file, label=class_name, group=f"{class_name}_part_{i // 2}")
        )
    return samples


def labels(samples: list[Sample]) -> set[str]:
    """The classes, `good` left out."""
    return {sample.label for sample in samples} - {GOOD}
