"""Procedural surfaces with dark scratches and pits, with labels that are true, of nothing, or next to the defect."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from defects.images.crops import CropSpec
from defects.sample import GOOD, Sample
from metrics.data.image_set import ImageSet
from tests.builders import save

SIDE = 64
Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def surface(rng: np.random.Generator) -> Pixels:
    """(64, 64, 1) grained surface under uneven light."""
    grain = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE)), (0, 0), 1.0)
    slope = np.linspace(-1, 1, SIDE) * rng.uniform(-15, 15)
    return np.clip(150 + 25 * grain + slope + rng.uniform(-15, 15), 0, 255).astype(np.uint8)[..., None]


def defect(rng: np.random.Generator, class_name: str) -> Mask:
    """(64, 64) a scratch or a pit, away from the border."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    x, y = (int(value) for value in rng.integers(18, 46, 2))
    if class_name == "pit":
        cv2.circle(mask, (x, y), int(rng.integers(4, 8)), 1, -1)
    else:
        dx, dy = (int(value) for value in rng.integers(-14, 15, 2))
        cv2.line(mask, (x - dx, y - dy), (x + dx, y + dy), 1, int(rng.integers(3, 6)))
    return mask > 0


def with_defect(background: Pixels, mask: Mask, depth: float = 90.0) -> Pixels:
    """The surface, darker by `depth` gray levels where the mask is."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)[..., None]
    return np.clip(background - depth * soft, 0, 255).astype(np.uint8)


def surfaces(
    root: Path, count: int, *, seed: int = 0, good: int = 0, sampled: bool = True, label_shift: int = 0
) -> ImageSet:
    """`count` images with a defect in turns of two classes, then `good` ones without.

    Args:
        root: Where the files are written.
        count: Images with a label.
        seed: Of everything.
        good: Images without.
        sampled: Whether the defects are in the images, or in the labels only.
        label_shift: Pixels by which labels lie next to the defects.
    """
    rng = np.random.default_rng(seed)
    samples = []
    for index in range(count + good):
        class_name = GOOD if index >= count else ("scratch", "pit")[index % 2]
        mask = np.zeros((SIDE, SIDE), bool) if class_name == GOOD else defect(rng, class_name)
        background = surface(rng)
        image = save(root / "images" / f"{index:03}.png", with_defect(background, mask) if sampled else background)
        label = np.roll(mask, label_shift, axis=(0, 1))
        samples.append(Sample(f"{index:03}", image, save(root / "masks" / f"{index:03}.png", label), label=class_name))
    return ImageSet(root.name, samples, CropSpec(SIDE, None, 1))


class DarkSpots:
    """Finds what is far darker than the image: the segmenter of the tests that need no network."""

    def predict(self, images: ImageSet) -> npt.NDArray[np.bool_]:
        """(N, 64, 64)."""
        crops = np.concatenate(list(images.batches(16)))[..., 0].astype(np.float32)
        return np.stack([cv2.GaussianBlur(w, (0, 0), 0.7) < np.median(w) - 45 for w in crops])
