"""Trials on a frozen backbone: a linear probe on cached features, trained by a fixed number of optimizer steps.

The probe is not scikit-learn's `LogisticRegression`, whose solver runs until it converges. Two promises of the bench
would go. Every arm gets the same number of optimizer steps, in this mode as in `finetune`. And a seed is a repetition
of the training: its weights and its order. A converged solution knows no seed: at all defective images an arm would
give the same score for every seed, and the signed-rank test over the seeds would count one result several times.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.utility.analysis.scores import average_precision, outcome
from classify.utility.design.bench import Bench
from classify.utility.design.crop_units import CropUnit
from classify.utility.design.sources import image_reader, training_views
from classify.utility.design.trials import PASTED, FewShotSplit, Settings, Trial
from classify.utility.runners.features import Bank, Block, FrozenFeatures, Items, joined
from defects.sample import GOOD, Sample
from engine.seeding import numpy_generator

_CHECKS = (8, 4, 2, 1)
_BETAS = (0.9, 0.999)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation (D,) by which features are standardized."""

    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """Of rows (N, D)."""
        deviation = values.std(axis=0)
        return cls(values.mean(axis=0), np.maximum(deviation, 1e-3 * max(float(deviation.mean()), 1e-6)))

    def __call__(self, values: Floats) -> Floats:
        return np.asarray((values - self.mean) / self.deviation, np.float32)


@dataclass(frozen=True)
class Probe:
    """A linear probe that validation selected.

    Attributes:
        weights: (D,).
        bias: One number.
        decay: Weight decay of its training.
        step: Number of optimizer steps after which it was taken.
        score: On validation.
    """

    weights: Floats
    bias: float
    decay: float
    step: int
    score: float


def fit_probe(
    bank: Bank,
    positives: Items,
    negatives: Items,
    scale: Scale,
    validate: Callable[[Floats], NDArray[np.float64]],
    settings: Settings,
    seed: int,
) -> Probe:
    """Trains one probe for each weight decay on the same batches and returns the one with the best validation score.

    Half of every batch is defective. Adam (Kingma and Ba 2015, algorithm 1) with a cosine rate; the decay is an L2
    term. The probes are validated after 1/8, 1/4, 1/2 and all of the steps: early stopping without fewer steps. One
    thread does it all, so that a trial has the same outcome whatever else is computed.

    Args:
        bank: The features.
        positives: Defective views.
        negatives: Good ones.
        scale: Of the real training images, the same for every arm.
        validate: Validation scores (W,) of probes' weights (D + 1, W), the bias last; higher is better.
        settings: Steps, batch, rate and decays.
        seed: Of the initial weights and the order.
    """
    decays = np.asarray(settings.decays, np.float32)
    dim = len(scale.mean)
    start = numpy_generator(seed, "utility", "weights").normal(size=(dim + 1, 1)) / dim
    weights = np.repeat(start.astype(np.float32), len(decays), axis=1)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    order = numpy_generator(seed, "utility", "order")
    half = settings.batch // 2
    labels = np.repeat(np.asarray([1, 0], np.float32), [half, settings.batch - half])[:, None]
    checks = {max(1, settings.steps // part) for part in _CHECKS}
    best: Probe | None = None
    for step in range(1, settings.steps + 1):
        chance = order.random((settings.batch, 2))
        rows = np.concatenate([positives.rows(chance[:half]), negatives.rows(chance[half:])])
        inputs = np.pad(scale(bank.take(rows)), ((0, 0), (0, 1)), constant_values=1.0)
        with np.errstate(over="ignore"):
            error = 1 / (1 + np.exp(-(inputs @ weights))) - labels
        gradient = inputs.T @ error / settings.batch
        gradient[:-1] += decays * weights[:-1]
        first += (1 - _BETAS[0]) * (gradient - first)
        second += (1 - _BETAS[1]) * (gradient * gradient - second)
        rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - 1) / settings.steps))
        unbiased = np.sqrt(second / (1 - _BETAS[1] ** step)) + 1e-8
        weights -= np.float32(rate / (1 - _BETAS[0] ** step)) * first / unbiased
        if step in checks:
            for index, score in enumerate(validate(weights)):
                if best is None or score > best.score:
                    own = weights[:, index].copy()
                    best = Probe(own[:-1], float(own[-1]), float(decays[index]), step, float(score))
    assert best is not None
    return best


class FrozenRunner:
    """Computes trials; what they share is computed once, when the first trial needs it.

    Args:
        bench: What is compared.
        features: The frozen backbone.
        on_images: Called with the number of images that have their features since the last call.
    """

    def __init__(
        self, bench: Bench, features: FrozenFeatures, on_images: Callable[[int], object] | None = None
    ) -> None:
        self.bench = bench
        settings, division = bench.settings, bench.division
        self._bank = Bank(features, settings)
        self._train = self._bank.images(division.train, settings.augmentations, on_images, bench.only("train"))
        self._held = {
            "val": self._scored(division.val, bench.only("val"), on_images),
            "test": self._scored(division.test, bench.only("test"), on_images),
        }
        self._synthetic = {
            each.root: self._bank.synthetic(each.samples, settings.synthetic_augmentations, on_images)
            for each in bench.folders
        }
        self._reader = image_reader(settings)
        self._lasting = len(self._bank)
        self._split: FewShotSplit | None = None
        self._pasted: Block | None = None
        self._shared: Block | None = None

    def run(self, trial: Trial) -> dict[str, Any]:
        """Trains, selects by validation and tests; returns the trial's results line without its name."""
        began = time.monotonic()
        subset, scale = self._enter(trial)
        positives, negatives, counts = self._items(trial, subset)
        blocks = len(self._bank)
        if trial.arm.classical:
            images = len(positives) + len(negatives)
            positives, negatives = self._bank.with_points(positives, negatives, trial.seed)
            if len(self._bank) > blocks:
                counts["feature_space_points"] = len(positives) + len(negatives) - images
        score = self._scorer("val", scale)
        truth = np.asarray([sample.label != GOOD for sample in self.bench.scored.val])

        def validate(weights: Floats) -> NDArray[np.float64]:
            return np.asarray([average_precision(scores, truth) for scores in score(weights).T])

        probe = fit_probe(self._bank, positives, negatives, scale, validate, self.bench.settings, trial.seed)
        self._bank.forget(len(self._bank) - blocks)
        head = np.append(probe.weights, np.float32(probe.bias))[:, None]
        val, test = score(head)[:, 0], self._scorer("test", scale)(head)[:, 0]
        scores, threshold = outcome(val=val, test=test, division=self.bench.scored)
        return {
            **trial.to_dict(),
            **scores,
            "chosen": {"weight_decay": round(probe.decay, 9), "step": probe.step, "threshold": round(threshold, 6)},
            "images": counts,
            "shots_sha256": [self.bench.hashes[sample.name][:12] for sample in subset],
            "seconds": round(time.monotonic() - began, 3),
        }

    def _enter(self, trial: Trial) -> tuple[list[Sample], Scale]:
        """The defective images of the trial's few-shot split, and the scale of its real training features."""
        subset = self.bench.subset(trial.split)
        if self._split != trial.split:
            self._split = trial.split
            self._bank.forget(len(self._bank) - self._lasting)
            self._pasted = None
            self._scale = Scale.of(self._bank.take(self._train.first[self._views(subset)]))
            self._features: dict[str, Floats] = {}
        return subset, self._scale

    def _views(self, subset: list[Sample]) -> NDArray[np.bool_]:
        """The views of the training images that a few-shot split trains on."""
        train, bench = self._train, self.bench
        return training_views(bench.division.train, subset, train.labels, train.owners, bench.settings.eval_on)

    def _scored(
        self, samples: list[Sample], only: list[CropUnit] | None, on_images: Callable[[int], object] | None
    ) -> Block:
        """The views that are scored; crops own themselves."""
        block = self._bank.images(samples, 0, on_images, only)
        return block if only is None else replace(block, owners=np.arange(len(block.owners)))

    def _items(self, trial: Trial, subset: list[Sample]) -> tuple[Items, Items, dict[str, int]]:
        """The items to draw from, and how many images of each source they are."""
        augmented = trial.arm.classical
        real = self._views(subset)
        positives = [self._train.items(1, real, augmented=augmented)]
        negatives = [self._train.items(0, real, augmented=augmented)]
        counts = self.bench.counts(subset)
        for name in trial.arm.sources:
            block, own = self._source(name, trial, subset)
            views = own[block.owners]
            positives.append(block.items(1, views, augmented=augmented))
            negatives.append(block.items(0, views, augmented=augmented))
            counts[name] = int(own.sum())
        counts["defective_squares"], counts["good_squares"] = sum(map(len, positives)), sum(map(len, negatives))
        return joined(positives), joined(negatives), counts

    def _source(self, name: str, trial: Trial, subset: list[Sample]) -> tuple[Block, NDArray[np.bool_]]:
        """The rows of a source, and which of its images the trial takes."""
        if name == PASTED and self.bench.pasted is None:
            return self._own_pasted(trial, subset)
        folder, at = self.bench.draw_source(name, trial, subset)
        own = np.zeros(len(folder.samples), np.bool_)
        own[at] = True
        return self._synthetic[folder.root], own

    def _own_pasted(self, trial: Trial, subset: list[Sample]) -> tuple[Block, NDArray[np.bool_]]:
        """Images pasted from the images of a few-shot split, and which of them the trial takes.

        Of crops, all seeds of the split with all images share theirs and draw from them, as from a folder.
        """
        shared = self.bench.crops is not None and trial.shots is None
        if shared and self._shared is None:
            self._shared = self._paste(subset, 0)
            self._lasting = len(self._bank)
        elif not shared and self._pasted is None:
            self._pasted = self._paste(subset, trial.seed)
        block = self._shared if shared else self._pasted
        assert block is not None
        most = len(block.first)
        order = numpy_generator(trial.seed, "utility", "pasted").permutation(most) if shared else np.arange(most)
        return block, np.asarray(np.argsort(order) < trial.count(len(subset)))

    def _paste(self, subset: list[Sample], seed: int) -> Block:
        """As many as the highest ratio takes."""
        most = round(max(self.bench.request.ratios) * len(subset))
        images = self.bench.paste(subset, seed, most, self._reader)
        pairs = ((pasted.image, pasted.mask) for pasted in images)
        return self._bank.arrays(pairs, most, self.bench.settings.synthetic_augmentations)

    def _scorer(self, name: str, scale: Scale) -> Callable[[Floats], NDArray[np.float64]]:
        """Scores (N, W) of what is scored by probes (D + 1, W): the highest of its crops."""
        block = self._held[name]
        if name not in self._features:
            self._features[name] = scale(self._bank.take(block.first))
        starts = np.flatnonzero(np.diff(block.owners, prepend=-1))

        def scores(weights: Floats) -> NDArray[np.float64]:
            logits = np.asarray(self._features[name] @ weights[:-1] + weights[-1], np.float64)
            return np.asarray(np.maximum.reduceat(logits, starts, axis=0))

        return scores
