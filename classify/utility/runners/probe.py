"""The linear head of a frozen backbone: logistic regression by a fixed number of optimiser steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classify.utility.design.settings import Settings
from classify.utility.runners.bank import Bank, Items
from engine.seeding import numpy_generator

_CHECKS = (8, 4, 2, 1)
_BETAS = (0.9, 0.999)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scale:
    """Mean and deviation (D,) of the features that are made standard."""

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
    """A head that validation chose.

    Attributes:
        weights: (D,).
        bias: One number.
        decay: Weight decay it was trained with.
        step: After how many steps it was taken.
        score: On validation.
    """

    weights: Floats
    bias: float
    decay: float
    step: int
    score: float

    def __call__(self, values: Floats) -> NDArray[np.float64]:
        """Logits (N,) of standardised features (N, D)."""
        return np.asarray(values @ self.weights + self.bias, np.float64)


def fit_probe(
    bank: Bank,
    positives: Items,
    negatives: Items,
    scale: Scale,
    judge: Callable[[Floats], NDArray[np.float64]],
    settings: Settings,
    seed: int,
) -> Probe:
    """Trains one head for each weight decay on the same batches and keeps the one that validation prefers.

    Half of every batch is defective. Adam (Kingma and Ba 2015, algorithm 1) with a cosine rate; the decay is an L2
    term. Weights are looked at after 1/8, 1/4, 1/2 and all of the steps: an early stop without saving steps. One thread
    does it all, so that a cell comes out alike whatever else is computed.

    Args:
        bank: The features.
        positives: Defective views.
        negatives: Good ones.
        scale: Of the real training images, the same for every arm.
        judge: Validation scores (W,) of the heads' weights (D + 1, W), the bias last; higher is better.
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
            wrong = 1 / (1 + np.exp(-(inputs @ weights))) - labels
        slope = inputs.T @ wrong / settings.batch
        slope[:-1] += decays * weights[:-1]
        first += (1 - _BETAS[0]) * (slope - first)
        second += (1 - _BETAS[1]) * (slope * slope - second)
        rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - 1) / settings.steps))
        unbiased = np.sqrt(second / (1 - _BETAS[1] ** step)) + 1e-8
        weights -= np.float32(rate / (1 - _BETAS[0] ** step)) * first / unbiased
        if step in checks:
            for index, score in enumerate(judge(weights)):
                if best is None or score > best.score:
                    own = weights[:, index].copy()
                    best = Probe(own[:-1], float(own[-1]), float(decays[index]), step, float(score))
    assert best is not None
    return best
