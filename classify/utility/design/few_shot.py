"""Which defective photographs a few-shot level has, and which images of a source are drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from classify.utility.design.division import Division
from classify.utility.design.sources import MadeSet, pasted_of
from classify.utility.design.trials import PASTED, Arm, Cell, Level
from defects.sample import GOOD, Sample
from engine.errors import UsageError
from engine.seeding import numpy_generator

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


def levels(shots: Sequence[int | None], defective: int) -> list[int | None]:
    """The levels there are; a count of all defective images is `all`, if that is asked for.

    Raises:
        UsageError: There are fewer defective images.
    """
    for count in shots:
        if count is not None and count > defective:
            raise UsageError(f"--shots: {count} defective images, but {defective} are left for training; lower it")
    return [count for count in shots if count != defective or None not in shots]


def reachable(cells: Sequence[Cell], sizes: Mapping[str, int], defective: int) -> tuple[list[Cell], list[str]]:
    """Cells that show at least one made image of each source and as many as it has, and a sentence for the others.

    Args:
        cells: All of them.
        sizes: Images of each source; one that makes as many as are needed is not in it.
        defective: Real defective images for training.
    """
    kept: list[Cell] = []
    none: dict[tuple[str, str, float], None] = {}
    missing: dict[tuple[str, str, float], tuple[int, int]] = {}
    for cell in cells:
        each = cell.ratio * (cell.shots or defective) / max(1, len(cell.arm.made))
        if cell.arm.made and not round(each):
            none[cell.arm.name, cell.level, cell.ratio] = None
            continue
        short = [name for name in cell.arm.made if name in sizes and sizes[name] < round(each)]
        if not short:
            kept.append(cell)
        else:
            key = (short[0], cell.level, cell.ratio)
            missing.setdefault(key, (round(each), sizes[short[0]]))
    return kept, [
        *(
            f"{arm}, ratio {ratio:g} at {level} defective images: not one made image: left out"
            for arm, level, ratio in none
        ),
        *(
            f"ratio {ratio:g} at {level} defective images needs {need} images of {name}, which has {have}: left out"
            for (name, level, ratio), (need, have) in missing.items()
        ),
    ]


def reachable_pasted(
    cells: Sequence[Cell], pasted: MadeSet, division: Division, hashes: dict[str, str]
) -> tuple[list[Cell], list[str]]:
    """Cells for which the folder holds enough images made of their own training images, whatever the seed."""
    good = [sample for sample in division.train if sample.label == GOOD]
    defective = [sample for sample in division.train if sample.label != GOOD]
    own: dict[Level, int] = {}
    lacking: dict[tuple[str, float, Arm], int] = {}
    for cell in cells:
        chosen = level_of(defective, cell.at)
        if cell.at not in own:
            own[cell.at] = len(pasted_of(pasted, chosen, good, hashes))
        if PASTED in cell.arm.made and own[cell.at] < round(cell.ratio * len(chosen) / len(cell.arm.made)):
            lacking[cell.level, cell.ratio, cell.arm] = own[cell.at]
    kept = [cell for cell in cells if (cell.level, cell.ratio, cell.arm) not in lacking]
    return kept, [
        f"{arm.name}, ratio {ratio:g} at {level} defective images: {pasted.root} holds {have} images made of a level's "
        "own images only: left out; a method such as --pasted alpha makes as many as are needed"
        for (level, ratio, arm), have in lacking.items()
    ]
