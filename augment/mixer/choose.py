"""How many made images are taken, and which: the ratio, and the cells that are filled first."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from engine.errors import UsageError
from engine.seeding import numpy_generator

__all__ = ["choose", "counts_for", "level_up"]

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


def counts_for(ratio: Sequence[float], there: Mapping[str, int]) -> dict[str, int]:
    """How many images of each source train.

    Args:
        ratio: Real : synthetic [: pasted]; empty takes all. Every photograph is taken when its number is above 0;
            where it is 0, as many of the others as their own ratio allows.
        there: How many there are of `real`, `synthetic` and `pasted`.

    >>> counts_for((1, 2), {"real": 10, "synthetic": 25, "pasted": 0})
    {'real': 10, 'synthetic': 20, 'pasted': 0}

    Raises:
        UsageError: There are too few; what there can be is named.
    """
    names = ("real", "synthetic", "pasted")
    if not ratio:
        return {name: there[name] for name in names}
    shares = dict(zip(names, [*ratio, 0.0][:3], strict=True))
    asked = [name for name in names if shares[name] > 0]
    unit = there["real"] / shares["real"] if shares["real"] > 0 else min(there[n] / shares[n] for n in asked)
    counts = {name: _whole(unit * shares[name]) for name in names}
    short = [name for name in asked if counts[name] > there[name]]
    if short:
        most = ":".join(_text(there[n] / unit if n in short else shares[n]) for n in names[: len(ratio)])
        wanted = ", ".join(f"{counts[name]} {name} images" for name in short)
        have = ", ".join(f"{there[name]}" for name in short)
        remedy = f"make {counts[short[0]] - there[short[0]]} more {short[0]} ones, or give --ratio {most}"
        raise UsageError(
            f"--ratio {':'.join(f'{share:g}' for share in ratio)}: {there['real']} real training images need {wanted}, "
            f"there are {have}; {remedy}"
        )
    return counts


def choose(
    items: Sequence[Item],
    count: int,
    *,
    keys: Sequence[Key] | None = None,
    start: Mapping[Key, int] | None = None,
    seed: int = 0,
    name: str = "",
) -> list[Item]:
    """Takes `count` of the items, each at most once, in their given order.

    Args:
        items: To take from.
        count: How many; all where there are fewer.
        keys: The cell of every item: an item of the cell that has fewest so far is taken next, so that empty cells
            are filled first. None takes any.
        start: How many each cell has already.
        seed: Of the draw within a cell.
        name: Of what is drawn.
    """
    order = [int(i) for i in numpy_generator(seed, "choose", name).permutation(len(items))]
    if keys is None:
        return [items[i] for i in sorted(order[:count])]
    waiting: dict[Key, list[int]] = defaultdict(list)
    for index in reversed(order):
        waiting[keys[index]].append(index)
    heap = [((start or {}).get(key, 0), str(key), key) for key in waiting]
    heapq.heapify(heap)
    taken: list[int] = []
    while heap and len(taken) < count:
        filled, text, key = heapq.heappop(heap)
        taken.append(waiting[key].pop())
        if waiting[key]:
            heapq.heappush(heap, (filled + 1, text, key))
    return [items[i] for i in sorted(taken)]


def level_up(keys: Sequence[Key], start: Mapping[Key, int]) -> int:
    """How many items bring every cell up to the fullest, as far as there are items for it."""
    level = max(start.values(), default=0)
    return sum(min(number, max(0, level - start.get(key, 0))) for key, number in Counter(keys).items())


def _whole(value: float) -> int:
    """Rounded half up; a count of what there is must not fall below by the error of a division."""
    return math.floor(value + 0.5)


def _text(value: float) -> str:
    """At most three digits behind the point, never rounded up."""
    return f"{math.floor(value * 1000 + 1e-6) / 1000:g}"
