"""Cells on a frozen backbone: a linear head on cached features."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.utility.analysis.scores import average_precision, outcome
from classify.utility.design.bench import Bench
from classify.utility.design.trials import PASTED, Cell, Level
from classify.utility.design.units import Square, views_learnt
from classify.utility.runners.bank import Bank, Block, Items, joined
from classify.utility.runners.features import FrozenFeatures
from classify.utility.runners.pasting import pasted_images, photographs_read
from classify.utility.runners.probe import Floats, Scale, fit_probe
from defects.sample import GOOD, Sample
from engine.seeding import numpy_generator


class FrozenRunner:
    """Computes cells; what they share is computed once, when the first cell needs it.

    Args:
        bench: What is compared.
        features: The frozen backbone.
        on_images: Told how many more images have their features.
    """

    def __init__(
        self, bench: Bench, features: FrozenFeatures, on_images: Callable[[int], object] | None = None
    ) -> None:
        self.bench = bench
        settings = bench.settings
        self._bank = Bank(features, settings)
        division = bench.division
        self._train = self._bank.photographs(division.train, settings.versions, on_images, bench.only("train"))
        self._held = {
            "val": self._scored(division.val, bench.only("val"), on_images),
            "test": self._scored(division.test, bench.only("test"), on_images),
        }
        self._made = {
            each.root: self._bank.squares(each.samples, settings.made_versions, on_images) for each in bench.folders
        }
        self._reader = photographs_read(bench)
        self._lasting = len(self._bank)
        self._level: Level | None = None
        self._pasted: Block | None = None
        self._shared: Block | None = None

    def run(self, cell: Cell) -> dict[str, Any]:
        """Trains, chooses by validation and tests; returns the cell's results line without its name."""
        began = time.monotonic()
        chosen, scale = self._at(cell)
        positives, negatives, counts = self._items(cell, chosen)
        judged = self._judged("val", scale)
        truth = np.asarray([sample.label != GOOD for sample in self.bench.scored.val])

        def judge(weights: Floats) -> NDArray[np.float64]:
            return np.asarray([average_precision(scores, truth)[0] for scores in judged(weights).T])

        probe = fit_probe(self._bank, positives, negatives, scale, judge, self.bench.settings, cell.seed)
        head = np.append(probe.weights, np.float32(probe.bias))[:, None]
        val, test = judged(head)[:, 0], self._judged("test", scale)(head)[:, 0]
        told, threshold = outcome(val=val, test=test, division=self.bench.scored)
        return {
            **cell.to_dict(),
            **told,
            "chosen": {"weight_decay": round(probe.decay, 9), "step": probe.step, "threshold": round(threshold, 6)},
            "images": counts,
            "shots_sha256": [self.bench.hashes[sample.name][:12] for sample in chosen],
            "seconds": round(time.monotonic() - began, 3),
        }

    def _at(self, cell: Cell) -> tuple[list[Sample], Scale]:
        """The defective photographs of the cell's level, and the scale of its real training features."""
        chosen = self.bench.chosen(cell.at)
        if self._level != cell.at:
            self._level = cell.at
            self._bank.forget(len(self._bank) - self._lasting)
            self._pasted = None
            self._scale = Scale.of(self._bank.take(self._train.first[self._learnt(chosen)]))
            self._seen: dict[str, Floats] = {}
        return chosen, self._scale

    def _learnt(self, chosen: list[Sample]) -> NDArray[np.bool_]:
        """The views of the training photographs that a level learns from."""
        train, bench = self._train, self.bench
        return views_learnt(bench.division.train, chosen, train.labels, train.owners, bench.settings.unit)

    def _scored(
        self, samples: list[Sample], only: list[Square] | None, on_images: Callable[[int], object] | None
    ) -> Block:
        """The views of photographs that are scored; squares own themselves."""
        block = self._bank.photographs(samples, 0, on_images, only)
        return block if only is None else replace(block, owners=np.arange(len(block.owners)))

    def _items(self, cell: Cell, chosen: list[Sample]) -> tuple[Items, Items, dict[str, int]]:
        """What is drawn from, and how many images of each source that is."""
        varied = cell.arm.classical
        real = self._learnt(chosen)
        positives = [self._train.items(1, real, varied=varied)]
        negatives = [self._train.items(0, real, varied=varied)]
        counts = self.bench.counts(chosen)
        for name in cell.arm.made:
            each = round(cell.ratio * len(chosen) / len(cell.arm.made))
            block, own = self._source(name, cell, chosen, each)
            views = own[block.owners]
            positives.append(block.items(1, views, varied=varied))
            negatives.append(block.items(0, views, varied=varied))
            counts[name] = int(own.sum())
        counts["defective_squares"], counts["good_squares"] = sum(map(len, positives)), sum(map(len, negatives))
        return joined(positives), joined(negatives), counts

    def _source(self, name: str, cell: Cell, chosen: list[Sample], count: int) -> tuple[Block, NDArray[np.bool_]]:
        """The rows of a source, and which of its images the cell takes."""
        if name == PASTED and self.bench.pasted is None:
            return self._own_pasted(cell, chosen, count)
        made, at = self.bench.taken(name, cell, chosen, count)
        own = np.zeros(len(made.samples), np.bool_)
        own[at] = True
        return self._made[made.root], own

    def _own_pasted(self, cell: Cell, chosen: list[Sample], count: int) -> tuple[Block, NDArray[np.bool_]]:
        """Images pasted from a level's photographs, and which of them the cell takes.

        Of squares, all seeds of the level with all photographs share theirs and draw from them, as from a folder.
        """
        shared = self.bench.squares is not None and cell.shots is None
        if shared and self._shared is None:
            self._shared = self._paste(chosen, 0)
            self._lasting = len(self._bank)
        elif not shared and self._pasted is None:
            self._pasted = self._paste(chosen, cell.seed)
        block = self._shared if shared else self._pasted
        assert block is not None
        most = len(block.first)
        order = numpy_generator(cell.seed, "utility", "pasted").permutation(most) if shared else np.arange(most)
        return block, np.asarray(np.argsort(order) < count)

    def _paste(self, chosen: list[Sample], seed: int) -> Block:
        """As many as the highest ratio asks for."""
        most = round(max(self.bench.request.ratios) * len(chosen))
        images = pasted_images(self.bench, chosen, self.bench.background_stats, seed, most, self._reader)
        pairs = ((made.image, made.mask) for made in images)
        return self._bank.arrays(pairs, most, self.bench.settings.made_versions)

    def _judged(self, name: str, scale: Scale) -> Callable[[Floats], NDArray[np.float64]]:
        """Scores (N, W) of the photographs or squares of a part by heads (D + 1, W): the highest of their squares."""
        block = self._held[name]
        if name not in self._seen:
            self._seen[name] = scale(self._bank.take(block.first))
        starts = np.flatnonzero(np.diff(block.owners, prepend=-1))

        def scores(weights: Floats) -> NDArray[np.float64]:
            logits = np.asarray(self._seen[name] @ weights[:-1] + weights[-1], np.float64)
            return np.asarray(np.maximum.reduceat(logits, starts, axis=0))

        return scores
