"""Squares of photographs as examples of a whole network's training, and its scores of photographs."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray

from classify.bundle import to_pixels
from classify.config import DataConfig
from classify.examples import DEFECT, Example, Examples
from classify.utility.units import Square
from classify.utility.views import UNCLEAR, labelled_boxes
from classify.weights import Classifier
from defects.sample import GOOD, Sample

__all__ = ["Photographs", "made_examples", "photograph_scores", "photographs_of", "together"]

_CLASSES = (GOOD, DEFECT)
_BATCH = 16


class Photographs:
    """The squares of photographs.

    Attributes:
        examples: All squares, unclear ones as good.
        owners: (N,) index of the photograph of each square.
        labels: (N,) 1, 0 or `UNCLEAR`.
        clear: (N,) whether something can be learnt from it.
    """

    def __init__(self, samples: Sequence[Sample], data: DataConfig, *, window: int | None, least: int) -> None:
        found = [
            (index, box, label)
            for index, sample in enumerate(samples)
            for box, label in labelled_boxes(sample, window=window, least=least)
        ]
        examples = [Example(samples[index], box, max(label, 0)) for index, box, label in found]
        self.examples = Examples("photographs", examples, _CLASSES, data)
        self.owners: NDArray[np.int64] = np.asarray([index for index, _, _ in found], np.int64)
        self.labels: NDArray[np.int64] = np.asarray([label for _, _, label in found], np.int64)
        self.clear: NDArray[np.bool_] = self.labels != UNCLEAR
        self.count = len(samples)

    def of(self, chosen: NDArray[np.bool_]) -> Examples:
        """Clear squares of the photographs that are marked (P,)."""
        return self.of_views(chosen[self.owners])

    def of_views(self, chosen: NDArray[np.bool_]) -> Examples:
        """Clear ones of the squares that are marked (N,)."""
        return self.examples.part(np.flatnonzero(chosen & self.clear))

    def only(self, squares: Sequence[Square], *, each: bool) -> Photographs:
        """These squares alone; `each` for itself, or as of their photographs."""
        keys = {(square.owner, square.place) for square in squares}
        firsts = np.searchsorted(self.owners, self.owners)
        at = [n for n, owner in enumerate(self.owners) if (int(owner), n - int(firsts[n])) in keys]
        less = copy(self)
        less.examples = self.examples.part(at)
        less.owners = np.arange(len(at)) if each else self.owners[at]
        less.labels, less.clear = self.labels[at], self.clear[at]
        less.count = len(at) if each else self.count
        return less


def photographs_of(
    samples: Sequence[Sample], *, size: int, channels: int, window: int | None, least: int
) -> Photographs:
    """The squares of photographs, cut as `classify.utility.views` does.

    Raises:
        DataError: An image or a mask does not open.
    """
    data = DataConfig.model_validate({"size": size, "channels": channels})
    return Photographs(samples, data, window=window, least=least)


def made_examples(samples: Sequence[Sample], like: Photographs) -> Examples:
    """Made images, which are squares already."""
    examples = [Example(sample, None, int(sample.label != GOOD)) for sample in samples]
    return Examples("made", examples, _CLASSES, like.examples.data)


def together(parts: Sequence[Examples], name: str = "train") -> Examples:
    """All examples of several sets; those of the first share what it has decoded."""
    examples = [example for part in parts for example in part.examples]
    return Examples(name, examples, _CLASSES, parts[0].data).share(parts[0])


@torch.inference_mode()
def photograph_scores(
    network: Classifier,
    photographs: Photographs,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> NDArray[np.float64]:
    """(P,) the highest logit of each photograph's squares."""
    network.eval()
    logits = []
    for start in range(0, len(photographs.examples), _BATCH):
        images = photographs.examples.batch(range(start, min(start + _BATCH, len(photographs.examples))))
        logits.append(network(to_pixels(images, mean, std)).logits[:, 0].double().numpy())
    starts = np.flatnonzero(np.diff(photographs.owners, prepend=-1))
    return np.asarray(np.maximum.reduceat(np.concatenate(logits), starts))
