"""Which defective photographs a few-shot level has, and which images of a source are drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from classify.utility.cells import Level
from defects.sample import GOOD, Sample
from engine.seeding import numpy_generator

__all__ = ["drawn", "level_of", "shot_order"]

T = TypeVar("T")


def shot_order(defective: Sequence[Sample], seed: int) -> list[Sample]:
    """The defective photographs in the order in which the levels take them, so that a level holds those below it.

    Kinds take turns, and within a kind its parts do: five images of one part tell less than one each of five.

    Args:
        defective: Of the training part; their order does not matter.
        seed: Another seed, another order.
    """
    rng = numpy_generator(seed, "utility", "shots")
    kinds: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in sorted(defective, key=lambda sample: sample.name):
        kinds[sample.label][sample.part].append(sample)
    queues = []
    for kind in _shuffled(sorted(kinds), rng):
        parts = [_shuffled(kinds[kind][part], rng) for part in _shuffled(sorted(kinds[kind]), rng)]
        queues.append(_in_turns(parts))
    return _in_turns(queues)


def level_of(defective: Sequence[Sample], level: Level) -> list[Sample]:
    """The defective photographs that a level has, of those for training."""
    count, seed = level
    return shot_order(defective, seed)[:count]


def drawn(samples: Sequence[Sample], count: int, seed: int) -> NDArray[np.intp]:
    """Indices of `count` images of a source, without one twice; a larger count holds the smaller one.

    Where a source has good images too, each kind of image has its share.

    Args:
        samples: Of the source.
        count: At most as many as there are.
        seed: Another seed, another draw.
    """
    order: list[NDArray[np.intp]] = []
    places: list[NDArray[np.float64]] = []
    for good in (False, True):
        own = np.flatnonzero([(sample.label == GOOD) == good for sample in samples])
        order.append(numpy_generator(seed, "utility", "draw", int(good)).permutation(own))
        places.append((np.arange(len(own)) + 0.5) / max(1, len(own)))
    return np.concatenate(order)[np.argsort(np.concatenate(places), kind="stable")][:count]


def _shuffled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    return [items[index] for index in rng.permutation(len(items))]


def _in_turns(queues: Sequence[Sequence[T]]) -> list[T]:
    """One of each, again and again, until all are empty."""
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
