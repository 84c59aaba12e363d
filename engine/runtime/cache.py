"""A bounded, thread-safe cache: the latest of some values that are costly to compute."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class BoundedCache(Generic[V]):
    """Values by key, the least recently used of which are let go; at least the latest one stays.

    Args:
        limit: what all sizes add up to at most.
        size_of: the size of a value, such as its bytes; 1 for each where nothing is given.

    >>> cache = BoundedCache(8, len)
    >>> cache.get("a", lambda: b"12345"), cache.get("b", lambda: b"678"), cache.get("a", lambda: b"again")
    (b'12345', b'678', b'12345')
    >>> cache.get("c", lambda: b"9"), cache.get("b", lambda: b"anew")
    (b'9', b'anew')
    """

    def __init__(self, limit: int, size_of: Callable[[V], int] = lambda _: 1) -> None:
        self.limit, self.size_of = limit, size_of
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key, computed if it is not cached; two threads that compute the same get the first one's."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            if key in self._values:
                return self._values[key]
            self._values[key] = value
            self._size += self.size_of(value)
            while self._size > self.limit and len(self._values) > 1:
                self._size -= self.size_of(self._values.popitem(last=False)[1])
        return value
