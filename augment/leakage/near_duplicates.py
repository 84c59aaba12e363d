"""Near-duplicates of held-out images, though cropped, mirrored, rotated, brightened or compressed.

Two stages: every keypoint votes for every reference by its similarity to the reference's keypoints (a product of
matrices), then the few with most votes are aligned with the query and compared block by block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.images.decode import read_image
from defects.sample import Sample

SIDE = 256
"""The longer side of the images that are compared, px."""

KEYPOINTS = 150
_LEAST_SIDE = 96


@dataclass(frozen=True)
class Keypoints:
    """One image.

    Attributes:
        gray: (h, w) uint8, its longer side at most `SIDE`.
        points: (n, 2) keypoints (x, y), px of `gray`.
        descriptors: (n, 128) uint8 SIFT descriptors (Lowe 2004).
    """

    gray: NDArray[np.uint8]
    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


def small_gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, C) as a small gray image (h, w)."""
    gray = image.astype(np.float32).mean(axis=2)
    longest = max(gray.shape)
    factor = SIDE / longest if longest > SIDE else max(1.0, _LEAST_SIDE / longest)
    if factor != 1.0:
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        size = (max(8, round(gray.shape[1] * factor)), max(8, round(gray.shape[0] * factor)))
        gray = cv2.resize(gray, size, interpolation=how)
    return np.asarray(np.clip(np.round(gray), 0, 255), np.uint8)


def find_keypoints(gray: NDArray[np.uint8]) -> Keypoints:
    """The keypoints of a small image, detected after local contrast normalization, also in flat regions."""
    light = gray.astype(np.float32)
    sigma = max(gray.shape) / 16
    detail = light - cv2.GaussianBlur(light, (0, 0), sigma)
    even = detail / np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), sigma) + 4.0)
    # A detector for each call: sharing one between threads is not documented as safe.
    sift = cv2.SIFT.create(nfeatures=KEYPOINTS, contrastThreshold=0.005, edgeThreshold=20)
    detected, descriptors = sift.detectAndCompute(np.clip(128 + 42 * even, 0, 255).astype(np.uint8), None)
    if descriptors is None:
        return Keypoints(gray, np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8))
    points = np.asarray([point.pt for point in detected[:KEYPOINTS]], np.float32)
    return Keypoints(gray, points, np.asarray(descriptors[:KEYPOINTS], np.uint8))


def root_sift(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Descriptors of length 1 whose products are Hellinger's measure (Arandjelović and Zisserman 2012)."""
    values = descriptors.astype(np.float32)
    root: NDArray[np.float32] = np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-6))
    return root


_LEAST_MATCHES = 4
_MIN_MATCH = 0.7
_INLIER_DISTANCE = 3.0
_SHIFT = 3
_LEAST_BLOCK = 20
_LEAST_OVERLAP = 0.3


def estimate_alignment(query: Keypoints, reference: Keypoints) -> NDArray[np.float32] | None:
    """The affine map (2, 3) from the query's px to the reference's, by RANSAC over mutually nearest keypoints.

    Returns:
        None where there is no such map.
    """
    if min(len(query.points), len(reference.points)) < _LEAST_MATCHES:
        return None
    products = root_sift(query.descriptors) @ root_sift(reference.descriptors).T
    there, back = products.argmax(axis=1), products.argmax(axis=0)
    mutual = (back[there] == np.arange(len(there))) & (products.max(axis=1) > _MIN_MATCH)
    if mutual.sum() < _LEAST_MATCHES:
        return None
    matrix, inliers = cv2.estimateAffine2D(
        query.points[mutual], reference.points[there[mutual]], ransacReprojThreshold=_INLIER_DISTANCE, maxIters=500
    )
    if matrix is None or int(inliers.sum()) < _LEAST_MATCHES:
        return None
    strength = np.linalg.svd(matrix[:, :2], compute_uv=False)
    if not (strength[1] > 0.1 and strength[0] < 10 and strength[0] < 3 * strength[1]):
        return None
    return np.asarray(matrix, np.float32)


def similarity(query: Keypoints, reference: Keypoints, transform: NDArray[np.float32]) -> float:
    """How well the worse blocks of two images agree: the 10th percentile of their correlations, -1 to 1.

    Fine structure is compared (a band of 0.8 to 4 px), since images of different parts from one camera share lighting
    and coarse shape; they share most blocks, too, and only the worse ones separate a near-duplicate from another part
    in the same position. A block may be shifted by a few px. Blocks almost without structure do not count.

    Args:
        query: The image that is tested.
        reference: What it may be a near-duplicate of.
        transform: The map (2, 3) from the query's px to the reference's.
    """
    scale = float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))
    light = reference.gray.astype(np.float32)
    if scale > 1.1:  # the reference is finer: blur it as the coarser sampling does
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), 0.5 * float(np.sqrt(scale * scale - 1))), np.float32)
    height, width = query.gray.shape
    size, inverse = (width, height), cv2.WARP_INVERSE_MAP
    warped = np.asarray(cv2.warpAffine(light, transform, size, flags=cv2.INTER_LINEAR | inverse), np.float32)
    covered = np.asarray(
        cv2.warpAffine(np.ones_like(light), transform, size, flags=cv2.INTER_NEAREST | inverse), np.float32
    )
    if covered.mean() < _LEAST_OVERLAP:
        return 0.0
    return _blocks(_band(query.gray.astype(np.float32)), _band(warped), covered)


def _band(light: NDArray[np.float32]) -> NDArray[np.floating]:
    band: NDArray[np.floating] = cv2.GaussianBlur(light, (0, 0), 0.8) - cv2.GaussianBlur(light, (0, 0), 4)
    return band


def _blocks(own: NDArray[np.floating], warped: NDArray[np.floating], covered: NDArray[np.floating]) -> float:
    height, width = own.shape
    side = max(_LEAST_BLOCK, min(height, width) // 6)
    values, contrast = [], []
    for top in range(_SHIFT, height - side - _SHIFT + 1, side):
        for left in range(_SHIFT, width - side - _SHIFT + 1, side):
            around = slice(top - _SHIFT, top + side + _SHIFT), slice(left - _SHIFT, left + side + _SHIFT)
            if not covered[around].all():
                continue
            block = own[top : top + side, left : left + side]
            agreement = cv2.matchTemplate(warped[around], block, cv2.TM_CCOEFF_NORMED).max()
            strength = float(block.std() * warped[around].std())
            values.append(float(agreement) if strength > 1e-3 else 0.0)
            contrast.append(strength)
    if len(values) < 3:
        return 0.0
    values_of_texture = np.asarray(values)[np.asarray(contrast) >= 0.25 * float(np.median(contrast))]
    return float(np.percentile(values_of_texture, 10))


MIN_SIMILARITY = 0.55  # less similar images are never near-duplicates
MIN_CROP_SIMILARITY = 0.65  # the same for crops: smaller areas agree more by chance
MAX_THRESHOLD = 0.97  # more similar images always are near-duplicates
_CANDIDATES = 8
_DIMENSIONS = 32
_LEAST_VOTE = 0.6
_SLICE = 50_000


@dataclass(frozen=True)
class Similarity:
    """The most similar reference of an image.

    Attributes:
        name: Of the reference; empty where none is similar.
        value: -1 to 1; see `similarity`.
    """

    name: str
    value: float


class ReferenceImages:
    """Images to compare others with.

    Args:
        samples: Each is decoded once.
        crop: Compare with overlapping crops of twice that side, px, for crops of far larger images; None for the
            images as a whole.
        workers: Threads.

    Raises:
        DataError: One does not open.
    """

    def __init__(self, samples: Sequence[Sample], *, crop: int | None = None, workers: int = 2) -> None:
        def mirrored(keypoints: Keypoints) -> Keypoints:  # detected again, since descriptors do not mirror
            return find_keypoints(np.ascontiguousarray(keypoints.gray[:, ::-1]))

        with ThreadPoolExecutor(workers) as pool:
            keypoints = list(pool.map(lambda sample: [find_keypoints(each) for each in _images(sample, crop)], samples))
            self.names = [sample.name for sample, own in zip(samples, keypoints, strict=True) for _ in own]
            upright = [keypoints for own in keypoints for keypoints in own]
            self._keypoints: list[Keypoints] = [*upright, *pool.map(mirrored, upright)]
        counts = [len(keypoints.points) for keypoints in self._keypoints]
        self._filled = np.flatnonzero(counts)  # without keypoints there is nothing to vote with
        self._starts = np.concatenate([[0], np.cumsum(np.asarray(counts)[self._filled])])
        each = max(1, _SLICE // KEYPOINTS)
        number = len(self._filled)
        self._slices = [(first, min(first + each, number)) for first in range(0, number, each)]
        every = [root_sift(keypoints.descriptors) for keypoints in self._keypoints]
        values = np.concatenate(every) if sum(counts) else np.zeros((1, 128), np.float32)
        self._mean: NDArray[np.float32] = values.mean(axis=0)
        some = values[:: max(1, len(values) // 20_000)] - self._mean
        self._axes: NDArray[np.float32] = np.linalg.eigh(some.T @ some)[1][:, -_DIMENSIONS:].astype(np.float32)
        self._index = self._short(values).T.copy() if sum(counts) else np.zeros((_DIMENSIONS, 0), np.float32)

    def compare(
        self,
        samples: Iterable[Sample],
        *,
        read: Callable[[Sample], NDArray[np.uint8]] = lambda sample: read_image(sample.image),
        workers: int = 2,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Similarity]:
        """The most similar reference of every sample, in order; images are opened one by one.

        Args:
            samples: To compare.
            read: Opens one as (H, W, C).
            workers: Threads.
            on_progress: Called with the number of images compared since the last call.

        Raises:
            DataError: One does not open.
        """
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            with ThreadPoolExecutor(workers) as pool:
                for nearest in pool.map(lambda sample: self.nearest(find_keypoints(small_gray(read(sample)))), samples):
                    yield nearest
                    if on_progress is not None:
                        on_progress(1)
        finally:
            cv2.setNumThreads(threads)

    def nearest(self, query: Keypoints) -> Similarity:
        """The most similar reference of an image."""
        best = Similarity("", 0.0)
        for number in self._candidates(query):
            transform = estimate_alignment(query, self._keypoints[number])
            if transform is None:
                continue
            value = similarity(query, self._keypoints[number], transform)
            if value > best.value:
                best = Similarity(self.names[number % len(self.names)], value)
        return best

    def _candidates(self, query: Keypoints) -> list[int]:
        if not len(query.points) or not self._index.shape[1]:
            return []
        own = self._short(root_sift(query.descriptors))
        votes = np.zeros(len(self._keypoints), np.float32)
        for first, last in self._slices:
            start = self._starts[first]
            products = own @ self._index[:, start : self._starts[last]]
            nearest = np.maximum.reduceat(products, self._starts[first:last] - start, axis=1)
            votes[self._filled[first:last]] = (np.clip(nearest - _LEAST_VOTE, 0, 1) ** 2).sum(axis=0)
        return [int(i) for i in np.argsort(-votes, kind="stable")[:_CANDIDATES] if votes[i] > 0]

    def _short(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The descriptors on the axes along which those of the references differ most, of length 1."""
        values = (descriptors - self._mean) @ self._axes
        short: NDArray[np.float32] = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
        return short


def calibrated_threshold(values: Sequence[float], least: float = MIN_SIMILARITY) -> float:
    """The similarity above which an image is a near-duplicate.

    Training images of other groups show how similar two parts are to one camera: far more so where the scene is always
    the same. What lies well beyond their upper tenth is a near-duplicate; up to a tenth of them may be some themselves.

    Args:
        values: Similarities of training images to held-out ones of other groups.
        least: Lower bound of the result.
    """
    if len(values) < 10:
        return least
    middle, high = np.quantile(values, [0.5, 0.9])
    return float(min(MAX_THRESHOLD, max(least, high + 0.4 * (high - middle))))


def _images(sample: Sample, crop: int | None) -> list[NDArray[np.uint8]]:
    """An image, or its overlapping crops."""
    image = read_image(sample.image)
    if crop is None or max(image.shape[:2]) <= 2 * crop:
        return [small_gray(image)]
    starts = [range(0, max(1, side - crop), crop) for side in image.shape[:2]]
    return [small_gray(image[top : top + 2 * crop, left : left + 2 * crop]) for top in starts[0] for left in starts[1]]
