"""What a setting of a transform may be, and how a value is drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.config import nearest

__all__ = ["Between", "Draw", "OneOf", "Setting", "Switch", "Uniforms"]

Draw = Callable[[], float]


class Uniforms:
    """Numbers in [0, 1) from a generator, drawn in blocks: a tenth of the time of single draws."""

    __slots__ = ("_block", "_rng")

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._block: list[float] = []

    def __call__(self) -> float:
        if not self._block:
            self._block = self._rng.random(32).tolist()
        return self._block.pop()


@dataclass(frozen=True)
class Between:
    """A number drawn evenly between two bounds.

    Attributes:
        default: (low, high).
        limits: the widest bounds allowed.
        unit: in words.
        count: how many numbers are drawn, each on its own; above 1 the value is a tuple.
    """

    default: tuple[float, float]
    limits: tuple[float, float]
    unit: str
    count: int = 1

    def parse(self, value: Any) -> tuple[float, float]:
        """A number or a pair of numbers as (low, high).

        Raises:
            ValueError: not a number or a pair, not finite, the wrong way round, or outside the limits.
        """
        pair = value if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
        if len(pair) != 2 or any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in pair):
            raise ValueError(f"expected a number or [low, high], got {value!r}")
        low, high = float(pair[0]), float(pair[1])
        if low > high:
            raise ValueError(f"expected [low, high], got [{low:g}, {high:g}]; write [{high:g}, {low:g}]")
        if not (self.limits[0] <= low and high <= self.limits[1]):
            raise ValueError(
                f"expected {self.unit} within {self.limits[0]:g} to {self.limits[1]:g}, got [{low:g}, {high:g}]"
            )
        return low, high

    def draw(self, setting: tuple[float, float], draw: Draw) -> float | tuple[float, ...]:
        """One value, or `count` of them."""
        low, span = setting[0], setting[1] - setting[0]
        if self.count == 1:
            return low + span * draw()
        return tuple(low + span * draw() for _ in range(self.count))


@dataclass(frozen=True)
class OneOf:
    """One of several words, drawn evenly among those allowed."""

    default: tuple[str, ...]
    known: tuple[str, ...]

    def parse(self, value: Any) -> tuple[str, ...]:
        """A word or a list of words as a tuple.

        Raises:
            ValueError: none given, or a word that is not known.
        """
        words = (value,) if isinstance(value, str) else value
        if not isinstance(words, Sequence) or not words:
            raise ValueError(f"expected one or more of {', '.join(self.known)}, got {value!r}")
        for word in words:
            if word not in self.known:
                raise ValueError(f"unknown value {word!r}; {nearest(str(word), self.known)}")
        return tuple(words)

    def draw(self, setting: tuple[str, ...], draw: Draw) -> str:
        """One of the words."""
        return setting[0] if len(setting) == 1 else setting[int(draw() * len(setting))]


@dataclass(frozen=True)
class Switch:
    """Yes or no; nothing is drawn."""

    default: bool

    def parse(self, value: Any) -> bool:
        """The value itself.

        Raises:
            ValueError: neither true nor false.
        """
        if not isinstance(value, bool):
            raise ValueError(f"expected true or false, got {value!r}")
        return value

    def draw(self, setting: bool, draw: Draw) -> bool:  # noqa: ARG002 - one way to call all settings
        """The setting."""
        return setting


Setting = Between | OneOf | Switch
