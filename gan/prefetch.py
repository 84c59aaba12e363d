"""The windows of an epoch, cut by threads while the networks train; neither their order nor a byte depends on how."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from engine.seeding import numpy_generator
from gan.batches import epoch_order
from gan.config import GanConfig
from gan.prepare import Prepared
from gan.windows import Window

AHEAD = 2
"""Steps whose windows are being cut while one is trained on."""


def epoch_windows(
    prepared: Prepared, config: GanConfig, epoch: int, *, rank: int = 0, ranks: int = 1, workers: int = 2
) -> Iterator[list[Window]]:
    """The batches of an epoch for one process of several; the last ones that would not be full are left out.

    Args:
        prepared: data.
        config: of the run; the windows follow from its seed, the epoch and their position in it.
        epoch: counted from 0.
        rank: number of the process.
        ranks: how many there are.
        workers: threads.
    """
    order = epoch_order(prepared, config, epoch)
    per_step = config.train.batch_size * ranks
    starts = range(0, max(len(order) - len(order) % per_step, min(per_step, len(order))), per_step)

    def cut(position: int) -> Window:
        rng = numpy_generator(config.train.seed, "window", epoch, position)
        return prepared.train.cut(order[position % len(order)], rng)

    with ThreadPoolExecutor(workers, "window") as pool:
        pending: deque[list[Future[Window]]] = deque()
        try:
            for start in starts:
                pending.append([pool.submit(cut, i) for i in range(start, start + per_step)[rank::ranks]])
                if len(pending) > AHEAD:
                    yield [future.result() for future in pending.popleft()]
            while pending:
                yield [future.result() for future in pending.popleft()]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
