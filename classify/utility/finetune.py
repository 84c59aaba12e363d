"""Cells in which the whole network is trained, with equal optimiser steps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

from classify.config import NetworkConfig, TrainConfig
from classify.examples import Examples
from classify.fit import fit
from classify.utility.arms import PASTED
from classify.utility.bench import Bench
from classify.utility.cells import Cell
from classify.utility.pasting import pasted_folder
from classify.utility.scores import outcome
from classify.utility.squares import made_examples, photograph_scores, photographs_of, together
from classify.utility.units import views_learnt
from classify.weights import build_network, normalisation, pretrained
from defects.sample import Sample

__all__ = ["FinetuneRunner"]


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
        mean, std = normalisation(settings.network)
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
            samples = pasted_folder(self._folder / "pasted", self.bench, chosen, self.bench.grounds, cell.seed, count)
            return made_examples(samples, self._train)
        made, at = self.bench.taken(name, cell, chosen, count)
        return made_examples([made.samples[index] for index in at], self._train)
