"""What is kept of a picture to know it again when it was cropped, turned, mirrored, brightened or compressed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 256
"""The longer side to which larger pictures are brought, px."""

KEYPOINTS = 150
_LEAST_SIDE = 96

Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Appearance:
    """One picture.

    Attributes:
        gray: (h, w) uint8, its longer side at most `SIDE`.
        points: (n, 2) keypoints (x, y), px of `gray`.
        descriptors: (n, 128) uint8 SIFT descriptors (Lowe 2004).
    """

    gray: NDArray[np.uint8]
    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


def picture(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, C) as a small grey picture (h, w)."""
    gray = image.astype(np.float32).mean(axis=2)
    longest = max(gray.shape)
    factor = SIDE / longest if longest > SIDE else max(1.0, _LEAST_SIDE / longest)
    if factor != 1.0:
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        size = (max(8, round(gray.shape[1] * factor)), max(8, round(gray.shape[0] * factor)))
        gray = cv2.resize(gray, size, interpolation=how)
    small: NDArray[np.uint8] = np.clip(np.round(gray), 0, 255).astype(np.uint8)
    return small


def appearance(gray: NDArray[np.uint8]) -> Appearance:
    """The keypoints of a small picture, found after its light is evened out, so that dull parts have some too."""
    light = gray.astype(np.float32)
    reach = max(gray.shape) / 16
    detail = light - cv2.GaussianBlur(light, (0, 0), reach)
    even = detail / np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), reach) + 4.0)
    # A detector of its own for each call: one shared by threads is not promised to be safe.
    sift = cv2.SIFT.create(nfeatures=KEYPOINTS, contrastThreshold=0.005, edgeThreshold=20)
    found, descriptors = sift.detectAndCompute(np.clip(128 + 42 * even, 0, 255).astype(np.uint8), None)
    if descriptors is None:
        return Appearance(gray, np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8))
    points = np.asarray([point.pt for point in found[:KEYPOINTS]], np.float32)
    return Appearance(gray, points, np.asarray(descriptors[:KEYPOINTS], np.uint8))


def mirrored(seen: Appearance) -> Appearance:
    """The picture left to right; its keypoints are found anew, since a descriptor does not mirror."""
    return appearance(np.ascontiguousarray(seen.gray[:, ::-1]))


def rooted(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Descriptors of length 1 whose products are Hellinger's measure (Arandjelović and Zisserman 2012)."""
    values = descriptors.astype(np.float32)
    root: NDArray[np.float32] = np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-6))
    return root


_LEAST_MATCHES = 4
_ALIKE = 0.7
_REACH = 3.0
_SLACK = 3
_LEAST_BLOCK = 20
_LEAST_OVERLAP = 0.3


def aligned(suspect: Appearance, reference: Appearance) -> NDArray[np.float32] | None:
    """The affine map (2, 3) from the suspect's px to the reference's, by RANSAC over mutually nearest keypoints.

    Returns:
        None where there is no such map.
    """
    if min(len(suspect.points), len(reference.points)) < _LEAST_MATCHES:
        return None
    alike = rooted(suspect.descriptors) @ rooted(reference.descriptors).T
    there, back = alike.argmax(axis=1), alike.argmax(axis=0)
    mutual = (back[there] == np.arange(len(there))) & (alike.max(axis=1) > _ALIKE)
    if mutual.sum() < _LEAST_MATCHES:
        return None
    found, kept = cv2.estimateAffine2D(
        suspect.points[mutual], reference.points[there[mutual]], ransacReprojThreshold=_REACH, maxIters=500
    )
    if found is None or int(kept.sum()) < _LEAST_MATCHES:
        return None
    strength = np.linalg.svd(found[:, :2], compute_uv=False)
    if not (strength[1] > 0.1 and strength[0] < 10 and strength[0] < 3 * strength[1]):
        return None
    return np.asarray(found, np.float32)


def likeness(suspect: Appearance, reference: Appearance, through: NDArray[np.float32]) -> float:
    """How well the worse blocks of two pictures agree: the 10th percentile of their correlations, -1 to 1.

    Fine structure is compared (a band of 0.8 to 4 px), since light and coarse shape are shared by pictures that one
    camera takes of different parts; so are most blocks, and the worse ones tell a copy from another part in the same
    place. A block may be off by a few px. Blocks almost without structure tell nothing and do not count.

    Args:
        suspect: The picture looked at.
        reference: What it may show.
        through: The map (2, 3) from the suspect's px to the reference's.
    """
    scale = float(np.sqrt(abs(np.linalg.det(through[:, :2]))))
    light = reference.gray.astype(np.float32)
    if scale > 1.1:  # the reference is finer: blur it as the coarser sampling does
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), 0.5 * float(np.sqrt(scale * scale - 1))), np.float32)
    height, width = suspect.gray.shape
    size, inverse = (width, height), cv2.WARP_INVERSE_MAP
    laid = np.asarray(cv2.warpAffine(light, through, size, flags=cv2.INTER_LINEAR | inverse), np.float32)
    covered = np.asarray(
        cv2.warpAffine(np.ones_like(light), through, size, flags=cv2.INTER_NEAREST | inverse), np.float32
    )
    if covered.mean() < _LEAST_OVERLAP:
        return 0.0
    return _blocks(_band(suspect.gray.astype(np.float32)), _band(laid), covered)


def _band(light: NDArray[np.float32]) -> NDArray[np.floating]:
    band: NDArray[np.floating] = cv2.GaussianBlur(light, (0, 0), 0.8) - cv2.GaussianBlur(light, (0, 0), 4)
    return band


def _blocks(own: NDArray[np.floating], laid: NDArray[np.floating], covered: NDArray[np.floating]) -> float:
    height, width = own.shape
    side = max(_LEAST_BLOCK, min(height, width) // 6)
    values, contrast = [], []
    for top in range(_SLACK, height - side - _SLACK + 1, side):
        for left in range(_SLACK, width - side - _SLACK + 1, side):
            around = slice(top - _SLACK, top + side + _SLACK), slice(left - _SLACK, left + side + _SLACK)
            if not covered[around].all():
                continue
            block = own[top : top + side, left : left + side]
            found = cv2.matchTemplate(laid[around], block, cv2.TM_CCOEFF_NORMED).max()
            strength = float(block.std() * laid[around].std())
            values.append(float(found) if strength > 1e-3 else 0.0)
            contrast.append(strength)
    if len(values) < 3:
        return 0.0
    told = np.asarray(values)[np.asarray(contrast) >= 0.25 * float(np.median(contrast))]
    return float(np.percentile(told, 10))
