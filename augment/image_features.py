"""Features of the image itself: its power spectrum by frequency and direction, and principal components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import luminance

Floats = NDArray[np.float64]


def fourier_length(radial: int = 16, angular: int = 12) -> int:
    """How many numbers `fourier_features` gives."""
    return radial + angular


def fourier_features(image: NDArray[np.uint8], *, radial: int = 16, angular: int = 12) -> Floats:
    """The power spectrum of an image, by frequency and by direction.

    The luminance, less its mean, is faded out towards the border (Hann window), so that the border itself adds
    nothing. Brightness as a whole does not change the features, contrast shifts the radial ones alike.

    Args:
        image: (H, W, C) uint8, at least 4 x 4.
        radial: rings from 0 to half a cycle a pixel; each gives the log of its mean power.
        angular: sectors of the half circle, the first around structure that varies across, that is vertical lines;
            each gives its share of the power, together 1.

    Returns:
        (radial + angular,): of the same length for any size of image.

    Raises:
        ValueError: the image is too small, or there is not a ring and a sector.
    """
    height, breadth = image.shape[:2]
    if min(height, breadth) < 4 or radial < 1 or angular < 1:
        raise ValueError(
            f"expected an image of at least 4 x 4 px, a ring and a sector, got {height} x {breadth}, {radial} and "
            f"{angular}; give larger ones"
        )
    gray = luminance(image).astype(np.float64)
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(breadth + 2)[1:-1])
    gray = (gray - (gray * window).sum() / window.sum()) * window
    power = np.square(np.abs(np.fft.fft2(gray))) / np.square(window).sum()
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(breadth)[None, :]
    distance = np.hypot(down, across)
    inside = (distance <= 0.5) & (distance > 0)
    ring = np.minimum((distance * 2 * radial).astype(np.int64), radial - 1)[inside]
    # Half a sector is added so that the axes lie in the middle of a sector and not on an edge.
    turn = (np.arctan2(down, across) / np.pi + 0.5 / angular) % 1.0
    sector = np.minimum((turn * angular).astype(np.int64), angular - 1)[inside]
    values = power[inside]
    rings = np.bincount(ring, values, minlength=radial) / np.maximum(np.bincount(ring, minlength=radial), 1)
    sectors = np.bincount(sector, values, minlength=angular)
    total = float(sectors.sum())
    shares = sectors / total if total > 1e-12 else np.full(angular, 1 / angular)
    return np.concatenate([np.log10(rings + 1e-10), shares])


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components of a set of images, as small grey pictures.

    Attributes:
        mean: (side * side,).
        axes: (K, side * side), orthonormal, the one of most variance first.
        variance: (K,) along each axis.
        side: of the pictures, px.
    """

    mean: Floats
    axes: Floats
    variance: Floats
    side: int

    @classmethod
    def fit(cls, images: Sequence[NDArray[np.uint8]], count: int, *, side: int = 32) -> PrincipalComponents:
        """Find the axes of a set.

        Args:
            images: (H, W, C) uint8 each, of any size.
            count: K axes; fewer where the set has no more.
            side: images are brought to (side, side) first.

        Raises:
            ValueError: fewer than two images, or no axis is asked for.
        """
        if len(images) < 2 or count < 1:
            raise ValueError(f"expected at least 2 images and 1 axis, got {len(images)} and {count}; give more")
        rows = np.stack([_small(image, side) for image in images])
        mean = rows.mean(axis=0)
        _, values, axes = np.linalg.svd(rows - mean, full_matrices=False)
        kept = min(count, len(images) - 1, axes.shape[0])
        axes = axes[:kept]
        # An axis has no sign of its own; its largest entry is made positive so that the same set gives the same axes.
        largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
        axes = axes * np.where(largest < 0, -1.0, 1.0)
        return cls(mean, axes, np.square(values[:kept]) / (len(images) - 1), side)

    def transform(self, images: Sequence[NDArray[np.uint8]]) -> Floats:
        """(N, K) features of images."""
        if not len(images):
            return np.empty((0, len(self.axes)))
        rows = np.stack([_small(image, self.side) for image in images])
        return np.asarray((rows - self.mean) @ self.axes.T)

    def inverse(self, features: Floats) -> NDArray[np.uint8]:
        """(N, side, side, 1) grey pictures that features (N, K) stand for."""
        rows = np.asarray(features, np.float64) @ self.axes + self.mean
        return np.rint(np.clip(rows, 0, 1) * 255).astype(np.uint8).reshape(-1, self.side, self.side, 1)


def _small(image: NDArray[np.uint8], side: int) -> Floats:
    """(side * side,) luminance in 0..1."""
    return cv2.resize(luminance(image), (side, side), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
