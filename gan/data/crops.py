"""Training crops: boxes of real images at the network's size, augmented, with mask and guide to match.

Everything random about a crop is sampled first, from (seed, epoch, position), then applied; so a resumed run sees the
very crops that an undisturbed one sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import GuideValue, measure
from defects.images.crops import CropSpec, central, scaled
from defects.images.decode import read_sample
from defects.masks.width import Mask, set_width, width
from defects.sample import Sample
from gan.config import DataConfig

CACHE_BYTES = 4 * 2**30


@dataclass(frozen=True)
class TrainingCrop:
    """One training example.

    Attributes:
        image: (S, S, C) uint8.
        mask: (S, S), true for this image.
        condition: (S, S), the mask at a jittered width, which the generator sees.
        guide: Raw values.
    """

    image: NDArray[np.uint8]
    mask: Mask
    condition: Mask
    guide: dict[str, GuideValue]


@dataclass(frozen=True)
class Pose:
    """Where a crop lies and how it is turned: `center` in px of the scaled image, the rest as in DataConfig."""

    center: tuple[float, float]
    matrix: NDArray[np.float64]


class CropSource:
    """Cuts crops from a list of samples, in any number of threads; caches decoded images up to 4 GiB.

    Args:
        samples: The training (or test) samples.
        columns: For each sample the raw guide values that are not measured (class, background, declared columns).
        size: Side S of a crop.
        channels: 1 or 3; a gray image is repeated, a color image becomes luminance.
        config: Crop and augmentation.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        columns: Sequence[dict[str, GuideValue]],
        *,
        size: int,
        channels: int,
        config: DataConfig,
    ) -> None:
        self.samples = list(samples)
        self.columns = list(columns)
        self.size = size
        self.crop_spec = CropSpec(size, config.crop, channels)
        self.config = config
        self._cache: dict[int, tuple[NDArray[np.uint8], Mask]] = {}
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.samples)

    def scaled(self, index: int) -> tuple[NDArray[np.uint8], Mask]:
        """Image and mask of a sample at the scale at which `config.crop` px become S."""
        if index in self._cache:
            return self._cache[index]
        image, mask = scaled(*read_sample(self.samples[index]), self.crop_spec)
        with self._lock:
            if self._bytes < CACHE_BYTES and index not in self._cache:
                self._cache[index] = image, mask
                self._bytes += image.nbytes + mask.nbytes
        return image, mask

    def cut(self, index: int, rng: np.random.Generator | None) -> TrainingCrop:
        """The crop of a sample; None for `rng` gives the plain central one, without augmentation."""
        image, mask = self.scaled(index)
        jitter = 1.0
        for attempt in range(4):
            pose = draw_pose(mask, self.size, self.config, rng if attempt < 3 else None)
            part = warped(image, pose, self.size, cv2.INTER_LINEAR)
            cut = warped(mask.astype(np.uint8) * 255, pose, self.size, cv2.INTER_LINEAR) >= 128
            if cut.any() or not mask.any():
                break
        if rng is not None and rng.random() < self.config.jitter_share:
            jitter = float(np.exp(rng.uniform(-1, 1) * np.log(self.config.width_jitter)))
        part = np.atleast_3d(part)
        guide = dict(self.columns[index]) | measure(part, cut)
        condition = cut
        if jitter != 1.0 and cut.any():
            condition = set_width(cut, max(1.0, width(cut) * jitter), refine=0)
        return TrainingCrop(part, cut, condition, guide)


def draw_pose(mask: Mask, size: int, config: DataConfig, rng: np.random.Generator | None) -> Pose:
    """A crop around a pixel of the mask, turned, zoomed and mirrored as `config` allows; the plain one for None."""
    height, width = mask.shape
    half = size / 2
    if rng is None:
        left, top = central(mask, size)
        return Pose((left + half, top + half), np.eye(2))
    ys, xs = np.nonzero(mask)
    if xs.size:
        pick = int(rng.integers(xs.size))
        blend_radius = 0.4 * size
        anchor = (
            float(xs[pick]) + rng.uniform(-blend_radius, blend_radius),
            float(ys[pick]) + rng.uniform(-blend_radius, blend_radius),
        )
    else:
        anchor = (rng.uniform(0, width), rng.uniform(0, height))
    angle = np.deg2rad(rng.uniform(-1, 1) * config.rotation)
    scale = 1 + rng.uniform(-1, 1) * config.zoom
    slant = np.tan(np.deg2rad(rng.uniform(-1, 1) * config.shear))
    flips = rng.random(2) < 0.5
    mirror = np.diag(
        [-1.0 if config.horizontal_flip and flips[0] else 1.0, -1.0 if config.vertical_flip and flips[1] else 1.0]
    )
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = scale * mirror @ turn @ np.array([[1.0, slant], [0.0, 1.0]])
    return Pose(clamped(anchor, width, height, half), matrix)


def clamped(anchor: tuple[float, float], width: int, height: int, half: float) -> tuple[float, float]:
    """(x, y) moved so that a crop of 2 `half` px around it lies inside the image."""
    return min(max(anchor[0], half), max(half, width - half)), min(max(anchor[1], half), max(half, height - half))


def warped(array: NDArray[np.uint8], pose: Pose, size: int, interpolation: int) -> NDArray[np.uint8]:
    """The crop around the pose's center, turned about it; reflected where the image ends."""
    half = size / 2
    if np.array_equal(pose.matrix, np.eye(2)):
        x, y = round(pose.center[0] - half), round(pose.center[1] - half)
        return np.ascontiguousarray(array[y : y + size, x : x + size])
    shift = np.array([half, half]) - pose.matrix @ (np.array(pose.center) - 0.5) - 0.5
    affine = np.column_stack([pose.matrix, shift])
    warped = cv2.warpAffine(array, affine, (size, size), flags=interpolation, borderMode=cv2.BORDER_REFLECT_101)
    return warped.astype(np.uint8, copy=False)
