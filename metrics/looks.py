"""Copies seen by eye: thumbnails that noise, compression, blur, brightness and mirroring leave almost as they are.

Features of a classification network see texture first: a training image under JPEG compression and a little noise is
farther from its original than another real image is. A search for copies therefore looks at thumbnails.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import luminance
from defects.splits import thumbnail
from metrics.data.image_set import ImageSet
from metrics.memorization import Memorization, memorization

LOOKS = "thumbnail16"
"""Name of these features, where an extractor's would stand."""

_SIDE = 16


def looks(images: ImageSet, *, mirrored: bool = False) -> NDArray[np.float64]:
    """Thumbnails of 16 x 16 px, of mean 0 and length 1, so that exposure and contrast do not count.

    Args:
        images: Of one size.
        mirrored: Whether to give the thumbnails mirrored left to right, top to bottom and both ways as well.

    Returns:
        (N, 256), or (4 N, 256): all as they are, then all mirrored in one way after the other.

    Raises:
        DataError: An image does not open.
    """
    small = [thumbnail(luminance(images.read(i)[0]), side=_SIDE, detail=False) for i in range(len(images))]
    views = np.asarray(small, np.float64).reshape(len(small), _SIDE, _SIDE)
    if mirrored:
        views = np.concatenate([views, views[:, :, ::-1], views[:, ::-1], views[:, ::-1, ::-1]])
    return views.reshape(len(views), _SIDE * _SIDE)


def look_alikes(*, train: ImageSet, test: ImageSet, fake: ImageSet, seed: int = 0) -> Memorization:
    """`memorization` by thumbnails, a mirrored training image being a copy too.

    Args:
        train: Images that the generator was trained on.
        test: Real images that it has not seen.
        fake: Its images.
        seed: Of the cells.

    Raises:
        ValueError: A set is empty.
        DataError: An image does not open.
    """
    found = memorization(train=looks(train, mirrored=True), test=looks(test), fake=looks(fake), seed=seed)
    return replace(found, index=found.index % len(train))
