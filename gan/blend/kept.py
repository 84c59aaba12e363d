"""The latest of some values that are costly to make, as many as fit into so many bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class Kept(Generic[V]):
    """Values by number; at least the latest one stays.

    Args:
        limit: bytes.
        size_of: bytes of a value.

    >>> kept = Kept(8, len)
    >>> kept.get(0, lambda: b"12345"), kept.get(1, lambda: b"678"), kept.get(0, lambda: b"again")
    (b'12345', b'678', b'12345')
    """

    def __init__(self, limit: int, size_of: Callable[[V], int]) -> None:
        self.limit, self.size_of = limit, size_of
        self._values: OrderedDict[int, V] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, number: int, make: Callable[[], V]) -> V:
        """The value of a number, made if it is not kept; two threads may make the same."""
        with self._lock:
            if number in self._values:
                self._values.move_to_end(number)
                return self._values[number]
        value = make()
        with self._lock:
            if number not in self._values:
                self._values[number] = value
                self._bytes += self.size_of(value)
            while len(self._values) > 1 and self._bytes > self.limit:
                self._bytes -= self.size_of(self._values.popitem(last=False)[1])
        return value
