"""Fits a classifier to examples: epochs, validation, the best epoch's weights. No files: see `training.loop`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augment.transforms.pipeline import Pipeline, load_preset
from classify.config import TrainConfig
from classify.data.examples import Examples
from classify.models.checkpoint import to_pixels
from classify.models.weights import Classifier
from classify.training.learner import Learner, autocast, losses
from classify.training.schedule import Order, best_epoch, class_weights, rate_at, stalled
from engine.errors import TrainingError
from engine.runtime.threads import threads_set
from engine.seeding import numpy_generator

_VALIDATIONS = 10
"""Of a run of a given number of steps."""


@dataclass(frozen=True)
class Fitted:
    """The result of a training.

    Attributes:
        state_dict: weights of the best epoch on validation, on the CPU; of the last without validation images.
        history: one row an epoch.
        best_epoch: its number, from 1.
        best_score: its validation accuracy; None without validation images.
    """

    state_dict: dict[str, Tensor]
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float | None = None


class Fitting:
    """A training that runs epoch by epoch, so that its state can be saved in between.

    Args:
        network: as `build_network` gives it; trained in place.
        train: training examples.
        val: examples that select the best epoch; may be empty.
        settings: of the training.
        mean: of RGB in 0..1.
        std: of RGB in 0..1.
        preset: classical augmentation: its name or the pipeline.
        steps: optimizer steps, instead of `settings.epochs`: then an epoch is a tenth of them, or longer.
        fabric: launched, or None for this process on the CPU.

    Raises:
        ValueError: there is nothing to train on, or the classes of the two sets differ.
        UsageError: there is no such preset.
    """

    def __init__(
        self,
        network: Classifier,
        train: Examples,
        val: Examples,
        settings: TrainConfig,
        *,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        preset: str | Pipeline | None = None,
        steps: int | None = None,
        fabric: Any = None,
    ) -> None:
        if not len(train) or train.classes != val.classes:
            raise ValueError(f"expected training examples and sets of the same classes, got {train} and {val}")
        self.train, self.val, self.settings, self.fabric = train, val, settings, fabric
        self.pipeline = load_preset(preset) if isinstance(preset, str) else preset
        weights = class_weights(train.labels, len(train.classes)) if settings.balance == "weights" else None
        self.learner = Learner(network, settings, mean=mean, std=std, weights=weights, fabric=fabric)
        self.order = Order(train, settings)
        self.labels = train.labels
        world = fabric.world_size if fabric is not None else 1
        self.rank, self.world = (fabric.global_rank if fabric is not None else 0), world
        a_pass = max(1, self.order.length // (settings.batch_size * world))
        self.per_epoch = a_pass if steps is None else max(a_pass, math.ceil(steps / _VALIDATIONS))
        self.steps = settings.epochs * a_pass if steps is None else steps
        self.epochs = math.ceil(self.steps / self.per_epoch)
        self.history: list[dict[str, Any]] = []

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or validation has stalled."""
        return len(self.history) >= self.epochs or stalled(self.history, self.settings.patience)

    def epoch(self, on_batch: Callable[[int], object] | None = None) -> dict[str, Any]:
        """Trains one epoch and validates; returns its row, which the history then holds.

        Args:
            on_batch: called with the number of images after every step.

        Raises:
            TrainingError: a loss, in any process, or in the end a weight is not a number.
            DataError: an image does not open.
        """
        number = len(self.history)
        first, last = number * self.per_epoch, min((number + 1) * self.per_epoch, self.steps)
        rate, total = 0.0, 0.0
        for step in range(first, last):
            indices = self._indices(step)
            rate = rate_at(step, self.steps, self.per_epoch, self.settings, self.history)
            loss = self.learner.step(self._images(indices, step), self.labels[indices], rate)
            if self._sum(float(not math.isfinite(loss))):
                raise _not_a_number(f"epoch {number + 1}, step {step - first + 1}", "the loss")
            total += loss
            if on_batch is not None:
                on_batch(len(indices) * self.world)
        if self._sum(float(not self.learner.finite())):
            raise _not_a_number(f"epoch {number + 1}", "a weight")
        self._even_out()
        row: dict[str, Any] = {"epoch": number + 1, "steps": last, "rate": rate}
        row["loss"] = round(self._sum(total) / self.world / max(1, last - first), 6)
        if len(self.val):
            row |= self.validate(self.val)
        self.history.append(row)
        return row

    def validate(self, examples: Examples) -> dict[str, float]:
        """Loss and scores on examples: `val_loss`, `val_accuracy` and the mean recall of the classes, `val_recall`."""
        size = self.settings.batch_size
        starts = list(range(0, len(examples), size))[self.rank :: self.world]
        classes = len(examples.classes)
        labels = examples.labels
        sums = torch.zeros(1 + classes * classes, dtype=torch.float64)
        with self.learner.averaged():
            for start in starts:
                indices = range(start, min(start + size, len(examples)))
                logits = self.logits(examples.batch(indices))
                truth = torch.from_numpy(labels[start : start + len(indices)])
                sums[0] += float(losses(logits, truth).sum())
                predicted = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)
                table = torch.bincount(truth * classes + predicted, minlength=classes * classes)
                sums[1:] += table
        if self.fabric is not None and self.world > 1:
            sums = self.fabric.all_reduce(sums.to(self.fabric.device), reduce_op="sum").cpu()
        table = sums[1:].reshape(classes, classes)
        present = table.sum(dim=1) > 0
        recalls = table.diagonal()[present] / table.sum(dim=1)[present]
        return {
            "val_loss": round(float(sums[0]) / len(examples), 6),
            "val_accuracy": round(float(table.diagonal().sum()) / len(examples), 6),
            "val_recall": round(float(recalls.mean()), 6),
        }

    @torch.inference_mode()
    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """Logits (N, K) of images uint8 (N, S, S, C), float32 on the CPU."""
        learner = self.learner
        learner.network.eval()
        with autocast(learner.device, learner.dtype):
            output = learner.network(to_pixels(images, learner.mean, learner.std, learner.device))
        return output.logits.float().cpu()  # type: ignore[no-any-return]

    def _indices(self, step: int) -> list[int]:
        """Of a step's examples in this process."""
        size = self.settings.batch_size
        return self.order.at((step * self.world + self.rank) * size, size)

    def _images(self, indices: list[int], step: int) -> NDArray[np.uint8]:
        """Images (B, S, S, C) of a step, augmented by the preset."""
        images, masks = zip(*(self.train.read(index) for index in indices), strict=True)
        if self.pipeline is None:
            return np.stack(images)
        names = self.settings.seed, "classifier", "augment", step, self.rank
        generators = [numpy_generator(*names, place) for place in range(len(indices))]
        if self.settings.augment_on == "device":
            varied = self.pipeline.batch_uint8(images, masks, generators, self.learner.device)
        else:
            varied = [self.pipeline(*each) for each in zip(images, masks, generators, strict=True)]
        return np.stack(
            [
                # Where the defect was moved out, the label would be wrong.
                new if left.any() or not mask.any() else image
                for image, mask, (new, left, _) in zip(images, masks, varied, strict=True)
            ]
        )

    def _even_out(self) -> None:
        """The running statistics of all processes become their mean, so that all validate and save the same network."""
        if self.world == 1:
            return
        for name, buffer in self.learner.network.named_buffers():
            if buffer.is_floating_point():
                buffer.copy_(self.fabric.all_reduce(buffer.clone(), reduce_op="mean"))
                if self.learner.average is not None:
                    average = self.learner.average[name]
                    average.copy_(self.fabric.all_reduce(average.clone(), reduce_op="mean"))

    def _sum(self, value: float) -> float:
        """Over all processes, which must all stop at the same step."""
        if self.world == 1:
            return value
        total = self.fabric.all_reduce(torch.tensor(value, device=self.fabric.device), reduce_op="sum")
        return float(total)


def fit(
    fitting: Fitting, *, threads: int | None = None, on_epoch: Callable[[dict[str, Any]], object] | None = None
) -> Fitted:
    """Trains in place and returns the weights of the best epoch on validation; the network is left with them.

    The same seed gives the same weights for one number of threads on one machine.

    Args:
        fitting: What is trained and how; without validation images the weights of the last epoch are taken.
        threads: of PyTorch while it trains; None leaves them as they are.
        on_epoch: called with the row of every epoch.

    Raises:
        TrainingError: a loss is not a number.
        DataError: an image does not open.
    """
    best: dict[str, Tensor] = {}
    with threads_set(threads):
        while not fitting.finished:
            row = fitting.epoch()
            if best_epoch(fitting.history) == len(fitting.history):
                best = fitting.learner.result()
            if on_epoch is not None:
                on_epoch(row)
    network = fitting.learner.network
    network.load_state_dict(best)
    network.eval()
    number = best_epoch(fitting.history)
    score = fitting.history[number - 1].get("val_accuracy")
    return Fitted(best, fitting.history, number, score)


def _not_a_number(where: str, what: str) -> TrainingError:
    return TrainingError(
        f"{where}: {what} is not a number; earlier checkpoints remain; train anew into another --out with a lower "
        "--set train.learning_rate, or with --set train.precision=fp32",
        code="E-classify-not-a-number",
    )
