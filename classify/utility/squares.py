"""Squares of photographs as examples of a whole network's training, and its scores of photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from classify.bundle import to_pixels
from classify.config import DataConfig
from classify.examples import DEFECT, Example, Examples
from classify.utility.views import UNCLEAR, covering, label_of
from classify.weights import Classifier
from defects.images import image_info, read_mask
from defects.sample import GOOD, Sample

__all__ = ["Photographs", "made_examples", "photograph_scores", "photographs_of", "together"]

_CLASSES = (GOOD, DEFECT)
_BATCH = 16


class Photographs:
    """The squares of photographs.

    Attributes:
        examples: All squares, unclear ones as good.
        owners: (N,) index of the photograph of each square.
        clear: (N,) whether something can be learnt from it.
    """

    def __init__(self, samples: Sequence[Sample], data: DataConfig, *, window: int | None, least: int) -> None:
        examples: list[Example] = []
        owners: list[int] = []
        clear: list[bool] = []
        for index, sample in enumerate(samples):
            info = image_info(sample.image)
            boxes = covering(info.upright[0], info.upright[1], window)
            mask = read_mask(sample, info) if sample.label != GOOD and sample.has_pixels else None
            counts = [0 if mask is None else int(mask[y : y + h, x : x + w].sum()) for x, y, w, h in boxes]
            for box, count in zip(boxes, counts, strict=True):
                label = label_of(sample, count, max(counts), least)
                examples.append(Example(sample, box, max(label, 0)))
                owners.append(index)
                clear.append(label != UNCLEAR)
        self.examples = Examples("photographs", examples, _CLASSES, data)
        self.owners: NDArray[np.int64] = np.asarray(owners, np.int64)
        self.clear: NDArray[np.bool_] = np.asarray(clear, np.bool_)
        self.count = len(samples)

    def of(self, chosen: NDArray[np.bool_]) -> Examples:
        """Clear squares of the photographs that are marked (P,)."""
        return self.examples.part(np.flatnonzero(chosen[self.owners] & self.clear))


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
