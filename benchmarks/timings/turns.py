"""Timing by turns: all ways are run once a round, in an order that changes, so that none always follows the same one.

    times = take_turns({"ours": lambda: f(x), "torch-fidelity": lambda: g(x)}, rounds=5)
    print(times.table(peer="torch-fidelity", items=32))

Wall time and processor time over all threads are both measured: on a machine that others use as well, the ratio of
processor times is the steadier one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from engine.seeding import numpy_generator

CLOCKS = ("wall", "processor")


@dataclass(frozen=True)
class Times:
    """Seconds of each call.

    Attributes:
        wall: By name, of every round.
        processor: The same, processor time over all threads of this process.
        load: Of the machine, before and after.
    """

    wall: dict[str, list[float]]
    processor: dict[str, list[float]]
    load: tuple[float, float]

    def median(self, name: str, clock: str = "wall") -> float:
        """Median seconds of one way."""
        return statistics.median(self._all(clock)[name])

    def ratio(self, name: str, peer: str, clock: str = "wall") -> float:
        """How many times as fast as a peer."""
        return self.median(peer, clock) / self.median(name, clock)

    def ratio_by_round(self, name: str, peers: list[str], clock: str = "wall") -> float:
        """How many times as fast as the fastest of several peers: the median of the ratios, round by round."""
        every = self._all(clock)
        rounds = zip(every[name], *(every[peer] for peer in peers), strict=True)
        return float(statistics.median(min(others) / own for own, *others in rounds))

    def table(self, peer: str | None = None, items: float | Mapping[str, float] = 1, unit: str = "img") -> str:
        """A line a way: ms and items a second by both clocks, and how many times as fast as the peer.

        Args:
            peer: Its name; None for the first way.
            items: Items a call, of all ways or by name.
            unit: What an item is called.
        """
        base = peer if peer is not None else next(iter(self.wall))
        counts = dict.fromkeys(self.wall, items) if isinstance(items, int | float) else dict(items)
        width = max(len(name) for name in self.wall) + 2
        heads = ("ms", f"{unit}/s", "ratio", f"{unit}/cpu s", "ratio")
        lines = [f"{'':{width}}" + "".join(f"{head:>12}" for head in heads)]
        for name in self.wall:
            line = f"{name:{width}}{1e3 * self.median(name) / counts[name]:12.3f}"
            for clock in CLOCKS:
                rates = {way: counts[way] / max(self.median(way, clock), 1e-9) for way in (name, base)}
                line += f"{rates[name]:12.2f}{rates[name] / rates[base]:12.3f}"
            lines.append(line)
        return "\n".join([*lines, self.machine()])

    def machine(self) -> str:
        """The machine's load, in words."""
        before, after = self.load
        return f"load of the machine {before:.1f} before, {after:.1f} after, {os.cpu_count()} cores"

    def _all(self, clock: str) -> dict[str, list[float]]:
        return {"wall": self.wall, "processor": self.processor}[clock]


def take_turns(
    ways: Mapping[str, Callable[..., object]],
    *,
    rounds: int,
    warm_up: int = 1,
    setup: Callable[[], AbstractContextManager[Any]] | None = None,
    least: float = 0.0,
    seed: int = 0,
) -> Times:
    """Times all ways by turns.

    Args:
        ways: Callables by name.
        rounds: Timed calls of each.
        warm_up: Rounds before them that are not timed.
        setup: Makes a context for each call, outside of the timed part; its value is the call's argument.
        least: Seconds of processor time that a timed turn lasts: quick calls are repeated, after one that is not timed.
        seed: Of the order.
    """
    order, names, load = numpy_generator(seed, "order"), list(ways), os.getloadavg()[0]
    times = Times({name: [] for name in names}, {name: [] for name in names}, (load, load))
    for turn in range(warm_up + rounds):
        for index in order.permutation(len(names)):
            name = names[index]
            with setup() if setup is not None else nullcontext() as value:
                arguments = () if setup is None else (value,)
                repeats = 1
                if least:
                    repeats = max(1, round(least / max(_seconds(ways[name], arguments, 1)[1], 1e-6)))
                wall, processor = _seconds(ways[name], arguments, repeats)
            if turn >= warm_up:
                times.wall[name].append(wall)
                times.processor[name].append(processor)
    return Times(times.wall, times.processor, (load, os.getloadavg()[0]))


def _seconds(way: Callable[..., object], arguments: tuple[Any, ...], repeats: int) -> tuple[float, float]:
    """Wall and processor seconds a call."""
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        way(*arguments)
    return (time.perf_counter() - wall) / repeats, (time.process_time() - processor) / repeats


def timing_parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """A parser with the module's docstring as help and `--rounds`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="timed turns of each way")
    return parser
