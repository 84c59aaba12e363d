"""A bounded cache: what is costly to compute is computed once while it is in the cache, which stays within its size."""

from __future__ import annotations

from threading import Barrier, Thread

from engine.runtime.cache import BoundedCache


def test_the_least_recently_used_are_let_go_and_the_latest_stays_whatever_its_size() -> None:
    computed: list[str] = []

    def make(name: str) -> str:
        computed.append(name)
        return name * 4

    cache = BoundedCache[str](10, len)
    for name in ("a", "b", "a", "c", "a", "b"):
        assert cache.get(name, lambda name=name: make(name)) == name * 4  # type: ignore[misc]
    assert computed == ["a", "b", "c", "b"]
    assert cache.get("large", lambda: "x" * 50) == cache.get("large", lambda: "anew") == "x" * 50


def test_without_sizes_so_many_are_cached() -> None:
    cache = BoundedCache[int](2)
    assert [cache.get(key, lambda key=key: key) for key in range(3)] == [0, 1, 2]  # type: ignore[misc]
    assert cache.get(2, lambda: -1) == 2
    assert cache.get(0, lambda: -1) == -1


def test_two_threads_that_make_the_same_share_one_and_count_it_once() -> None:
    cache, both, found = BoundedCache[list[int]](10, len), Barrier(2), []

    def make() -> list[int]:
        both.wait(10)
        return [0] * 6

    threads = [Thread(target=lambda: found.append(cache.get("same", make))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] is found[1]
    cache.get("other", lambda: [0] * 4)  # fits next to one of 6, not next to two
    assert cache.get("same", list) is found[0]
