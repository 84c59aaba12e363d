"""An iterator that works ahead in a thread: images are decoded while a network runs."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from queue import Queue
from threading import Event, Thread
from typing import TypeVar

__all__ = ["read_ahead"]

T = TypeVar("T")

_WAITING = 2
_END = object()


def read_ahead(items: Iterator[T]) -> Generator[T]:
    """The same items in the same order, up to three of them made before they are asked for.

    An exception of `items` is raised here, after the items before it. When this generator is closed early, no more
    items are made.
    """
    ready: Queue[object] = Queue(_WAITING)
    stopped = Event()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            for item in items:
                ready.put(item)
                if stopped.is_set():
                    return
        except BaseException as error:
            failure.append(error)
        ready.put(_END)

    thread = Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            yield item  # type: ignore[misc]
        if failure:
            raise failure[0]
    finally:
        stopped.set()
        while thread.is_alive():
            if not ready.empty():
                ready.get()
            thread.join(timeout=0.01)
