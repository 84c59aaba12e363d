"""Squares of photographs as examples of a whole network's training, and its scores of photographs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from classify.config import DataConfig, NetworkConfig, TrainConfig
from classify.data.examples import DEFECT, Example, Examples
from classify.models.checkpoint import to_pixels
from classify.models.weights import Classifier, build_network, normalization, pretrained
from classify.training.fit import fit
from classify.utility.analysis.scores import outcome
from classify.utility.design.bench import Bench
from classify.utility.design.trials import PASTED, Cell
from classify.utility.design.units import Square, views_learnt
from classify.utility.design.views import UNCLEAR, labelled_boxes
from classify.utility.runners.pasting import pasted_folder
from defects.sample import GOOD, Sample

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
    """The squares of photographs, cut as `classify.utility.design.views` does.

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


class FinetuneRunner:
    """Computes cells.

    Args:
        bench: What is compared.
        folder: Where pasted images of the levels are written.
        source: The weights it starts from.
        threads: Of PyTorch.
    """

    def __init__(
        self,
        bench: Bench,
        folder: Path,
        *,
        source: Literal["imagenet", "none"] | Path = "imagenet",
        threads: int | None = None,
    ) -> None:
        self.bench, self._folder, self._source, self._threads = bench, folder, source, threads
        settings, division = bench.settings, bench.division
        cut = {"size": settings.size, "channels": settings.channels, "least": settings.least}
        self._train, self._val, self._test = (
            photographs_of(samples, window=settings.window, **cut)
            for samples in (division.train, division.val, division.test)
        )
        if (squares := bench.squares) is not None:
            self._train = self._train.only(squares.train, each=False)
            self._val = self._val.only(squares.val, each=True)
            self._test = self._test.only(squares.test, each=True)

    def run(self, cell: Cell) -> dict[str, Any]:
        """Trains, chooses by validation and tests; returns the cell's results line without its name.

        Raises:
            WeightsError: The network's weights cannot be had.
        """
        began = time.monotonic()
        settings, division = self.bench.settings, self.bench.division
        chosen = self.bench.chosen(cell.at)
        train = self._train
        parts = [train.of_views(views_learnt(division.train, chosen, train.labels, train.owners, settings.unit))]
        counts = self.bench.counts(chosen)
        for name in cell.arm.made:
            own = self._source_of(name, cell, chosen, round(cell.ratio * len(chosen) / len(cell.arm.made)))
            parts.append(own)
            counts[name] = len(own)
        config = NetworkConfig(name=settings.network)
        network = build_network(config, 1, cell.seed)
        pretrained(network, config, self._source)
        mean, std = normalization(settings.network)
        fitted = fit(
            network,
            together(parts),
            self._val.of(np.ones(self._val.count, np.bool_)),
            TrainConfig(
                learning_rate=settings.learning_rate,
                batch_size=settings.batch,
                balance="sampler",
                warm_up_epochs=0.5,
                seed=cell.seed,
            ),
            mean=mean,
            std=std,
            preset=settings.preset if cell.arm.classical else None,
            steps=settings.steps,
            threads=self._threads,
        )
        val = photograph_scores(network, self._val, mean, std)
        test = photograph_scores(network, self._test, mean, std)
        told, threshold = outcome(val=val, test=test, division=self.bench.scored)
        return {
            **cell.to_dict(),
            **told,
            "chosen": {"epoch": fitted.best_epoch, "threshold": round(threshold, 6)},
            "images": counts,
            "shots_sha256": [self.bench.hashes[sample.name][:12] for sample in chosen],
            "seconds": round(time.monotonic() - began, 3),
        }

    def _source_of(self, name: str, cell: Cell, chosen: list[Sample], count: int) -> Examples:
        """The images of a source that the cell takes."""
        if name == PASTED and self.bench.pasted is None:
            samples = pasted_folder(
                self._folder / "pasted", self.bench, chosen, self.bench.background_stats, cell.seed, count
            )
            return made_examples(samples, self._train)
        made, at = self.bench.taken(name, cell, chosen, count)
        return made_examples([made.samples[index] for index in at], self._train)
