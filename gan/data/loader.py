"""The parts of an epoch: its learning rate, the order of its samples, and crops as tensors."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.seeding import numpy_generator
from gan.config import GanConfig
from gan.data.crops import TrainingCrop
from gan.data.dataset import Prepared


@dataclass(frozen=True)
class Batch:
    """`images` (N, C, S, S) in [-1, 1]; `masks` true and `conditions` jittered (N, 1, S, S); `guides` (N, G)."""

    images: Tensor
    masks: Tensor
    conditions: Tensor
    guides: Tensor


def learning_rate(config: GanConfig, epoch: int) -> float:
    """The rate of an epoch: constant in the first half, then decaying exponentially to `final_rate` of it (paper).

    >>> [round(learning_rate(GanConfig(), e) / 2e-4, 3) for e in (0, 99, 150, 199)]
    [1.0, 1.0, 0.141, 0.021]
    """
    half = config.train.epochs / 2
    share = max(0.0, (epoch - half) / max(half, 1))
    return float(config.train.learning_rate * config.train.final_rate**share)


def epoch_order(prepared: Prepared, config: GanConfig, epoch: int) -> list[int]:
    """The samples of an epoch: every defective one once and a new sample of good ones, shuffled.

    Magna-Blend has no use for images without a defect but as backgrounds, which come with the defective ones.
    """
    rng = numpy_generator(config.train.seed, "order", epoch)
    good = prepared.good if config.network.architecture != "blend" else []
    count = min(len(good), round(config.data.good_per_defect * len(prepared.defective)))
    selected = (
        prepared.defective + [int(i) for i in rng.choice(good, count, replace=False)] if count else prepared.defective
    )
    return [selected[i] for i in rng.permutation(len(selected))]


def to_batch(crops: list[TrainingCrop], prepared: Prepared) -> Batch:
    """Crops to tensors on the CPU, channels last."""
    images = torch.from_numpy(np.stack([crop.image for crop in crops])).permute(0, 3, 1, 2).float() / 127.5 - 1
    masks = torch.from_numpy(np.stack([crop.mask for crop in crops])[:, None]).float()
    conditions = torch.from_numpy(np.stack([crop.condition for crop in crops])[:, None]).float()
    vectors = np.stack([prepared.schema.encode(prepared.schema.scale(crop.guide)) for crop in crops])
    layout = torch.channels_last
    return Batch(
        images.contiguous(memory_format=layout),
        masks.contiguous(memory_format=layout),
        conditions.contiguous(memory_format=layout),
        torch.from_numpy(vectors),
    )


AHEAD = 2
"""Steps whose crops are being cut while one is trained on."""


def epoch_crops(
    prepared: Prepared, config: GanConfig, epoch: int, *, rank: int = 0, ranks: int = 1, workers: int = 2
) -> Iterator[list[TrainingCrop]]:
    """The batches of an epoch for one process of several; the last ones that would not be full are left out.

    Args:
        prepared: Data.
        config: Of the run; the crops follow from its seed, the epoch and their position in it.
        epoch: Counted from 0.
        rank: Number of the process.
        ranks: How many there are.
        workers: Threads.
    """
    order = epoch_order(prepared, config, epoch)
    per_step = config.train.batch_size * ranks
    starts = range(0, max(len(order) - len(order) % per_step, min(per_step, len(order))), per_step)

    def cut(position: int) -> TrainingCrop:
        rng = numpy_generator(config.train.seed, "window", epoch, position)
        return prepared.train.cut(order[position % len(order)], rng)

    with ThreadPoolExecutor(workers, "crop") as pool:
        pending: deque[list[Future[TrainingCrop]]] = deque()
        try:
            for start in starts:
                pending.append([pool.submit(cut, i) for i in range(start, start + per_step)[rank::ranks]])
                if len(pending) > AHEAD:
                    yield [future.result() for future in pending.popleft()]
            while pending:
                yield [future.result() for future in pending.popleft()]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
