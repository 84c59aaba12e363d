"""Squares of photographs with their masks, as the segmenter of `metrics` takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from classify.utility.settings import Settings
from classify.utility.units import Square
from classify.utility.views import Image, views_of
from defects.masks import Mask
from defects.sample import GOOD, Sample
from defects.windows import Framing
from metrics.image_set import ImageSet

__all__ = ["SquareSet", "overlaps", "squares_of"]


class SquareSet(ImageSet):
    """Images and masks that are cut already.

    Args:
        name: Of the set.
        samples: What each square (N) is scored as: its photograph, or itself.
        squares: Image (S, S, C) and mask (S, S) of each.
        framing: Side and channels.
        view_labels: (N,) 1, 0 or `UNCLEAR`, where they are known.
        owners: (N,) index of the photograph of each.
    """

    def __init__(
        self,
        name: str,
        samples: Sequence[Sample],
        squares: Sequence[tuple[Image, Mask]],
        framing: Framing,
        *,
        view_labels: Sequence[int] = (),
        owners: Sequence[int] = (),
    ) -> None:
        super().__init__(name, samples, framing)
        self.squares = list(squares)
        self.view_labels: NDArray[np.int64] = np.asarray(view_labels, np.int64)
        self.owners: NDArray[np.int64] = np.asarray(owners, np.int64)

    def read(self, index: int) -> tuple[Image, Mask]:
        """The image and the mask of one square; not to be written to."""
        return self.squares[index]


def squares_of(
    name: str, samples: Sequence[Sample], settings: Settings, only: Sequence[Square] | None = None
) -> SquareSet:
    """The squares that cover photographs: all, or those of `only`, each for itself.

    Raises:
        DataError: An image or a mask does not open.
    """
    shown: list[Sample] = []
    squares: list[tuple[Image, Mask]] = []
    labels: list[int] = []
    owners: list[int] = []
    items = {(square.owner, square.place): square.item for square in only or ()}
    cut = {"size": settings.size, "channels": settings.channels, "least": settings.least}
    for index, sample in enumerate(samples):
        for place, view in enumerate(views_of(sample, window=settings.window, **cut)):
            item = sample if only is None else items.get((index, place))
            if item is not None:
                shown.append(item)
                squares.append((view.image, view.mask))
                labels.append(view.label)
                owners.append(index)
    framing = Framing(settings.size, None, settings.channels)
    return SquareSet(name, shown, squares, framing, view_labels=labels, owners=owners)


def overlaps(found: NDArray[np.bool_], images: SquareSet) -> dict[str, list[float]]:
    """IoU and Dice of what is scored, over the pixels of its squares; for what is good, the share found in it.

    Args:
        found: (N, S, S) of the squares.
        images: Them.
    """
    both: dict[str, int] = {}
    either: dict[str, int] = {}
    pixels: dict[str, int] = {}
    order: dict[str, Sample] = {}
    for index, sample in enumerate(images.samples):
        mask = images.read(index)[1]
        order[sample.name] = sample
        both[sample.name] = both.get(sample.name, 0) + int((found[index] & mask).sum())
        either[sample.name] = either.get(sample.name, 0) + int((found[index] | mask).sum())
        pixels[sample.name] = pixels.get(sample.name, 0) + mask.size
    iou, dice, spilt = [], [], []
    for name, sample in order.items():
        union, common = either[name], both[name]
        iou.append(common / union if union else 1.0)
        dice.append(2 * common / (union + common) if union else 1.0)
        spilt.append(union / pixels[name] if sample.label == GOOD else 0.0)
    return {"iou": iou, "dice": dice, "spilt": spilt}
