"""The schedule of a training: the learning rate of every step, the examples of every batch, the best epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.config import TrainConfig
from classify.data.examples import Examples
from engine.seeding import numpy_generator

History = Sequence[Mapping[str, Any]]


def rate_at(step: int, steps: int, per_epoch: int, settings: TrainConfig, history: History = ()) -> float:
    """Learning rate of a step, counted from 0.

    A linear rise, then half a cosine to zero, or constant, or constant until the validation loss stalls. The rise is
    never longer than half of the run.

    >>> settings = TrainConfig(learning_rate=1.0, warm_up_epochs=1)
    >>> [round(rate_at(step, 8, 2, settings), 2) for step in range(8)]
    [0.5, 1.0, 1.0, 0.93, 0.75, 0.5, 0.25, 0.07]
    """
    rise = min(round(settings.warm_up_epochs * per_epoch), steps // 2)
    if step < rise:
        return settings.learning_rate * (step + 1) / rise
    if settings.schedule == "cosine":
        done = (step - rise) / max(1, steps - rise)
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    if settings.schedule == "plateau":
        return settings.learning_rate * settings.plateau_factor ** _falls(history, settings.plateau_patience)
    return settings.learning_rate


def _falls(history: History, patience: int) -> int:
    """How often the validation loss has not fallen for so many epochs."""
    falls, lowest, waited = 0, math.inf, 0
    for row in history:
        loss = float(row.get("val_loss", math.inf))
        waited = 0 if loss < lowest else waited + 1
        lowest = min(lowest, loss)
        if waited >= patience:
            falls, waited = falls + 1, 0
    return falls


def best_epoch(history: History) -> int:
    """Number of the epoch, from 1, of the highest validation accuracy, of equal ones that of the lowest loss.

    Without validation images it is the last.
    """
    if not history or "val_accuracy" not in history[-1]:
        return len(history)
    best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    return int(best["epoch"])


def stalled(history: History, patience: int | None) -> bool:
    """Whether the last so many epochs had no better validation."""
    return patience is not None and len(history) - best_epoch(history) >= patience


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Weight of every class so that all of them count the same; their mean over the examples is 1."""
    counts = np.bincount(labels, minlength=classes)
    present = max(1, int((counts > 0).sum()))
    weights = np.zeros(classes)
    np.divide(len(labels), counts * present, out=weights, where=counts > 0)
    return weights


class Order:
    """The endless order of the training examples: pass after pass, each in a new order.

    Args:
        examples: of training.
        settings: their `seed` and `balance`.
    """

    def __init__(self, examples: Examples, settings: TrainConfig) -> None:
        self._examples, self._settings = examples, settings
        self.length = examples.sampling.length if examples.sampling is not None else len(examples)
        self._passes: dict[int, NDArray[np.int64]] = {}

    def at(self, start: int, count: int) -> list[int]:
        """The examples at so many places from `start` on."""
        return [int(self._pass(place // self.length)[place % self.length]) for place in range(start, start + count)]

    def _pass(self, number: int) -> NDArray[np.int64]:
        if number not in self._passes:
            self._passes = {key: value for key, value in self._passes.items() if key >= number - 1}
            self._passes[number] = self._new_pass(number)
        return self._passes[number]

    def _new_pass(self, number: int) -> NDArray[np.int64]:
        if self._examples.sampling is not None:
            return self._examples.sampling.epoch(number)
        rng = numpy_generator(self._settings.seed, "classifier", "order", number)
        if self._settings.balance != "sampler":
            return rng.permutation(self.length)
        labels = self._examples.labels
        chances = class_weights(labels, len(self._examples.classes))[labels]
        return rng.choice(self.length, self.length, p=chances / chances.sum())
