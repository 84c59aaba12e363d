"""What is costly to make is made once while it is kept, and no more is kept than fits."""

from __future__ import annotations

from threading import Barrier, Thread

from engine.runtime.cache import BoundedCache


def test_the_least_recently_used_are_let_go_and_the_latest_stays_whatever_its_size() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name * 4

    kept = BoundedCache[str](10, len)
    for name in ("a", "b", "a", "c", "a", "b"):
        assert kept.get(name, lambda name=name: make(name)) == name * 4  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"]
    assert kept.get("large", lambda: "x" * 50) == kept.get("large", lambda: "anew") == "x" * 50


def test_without_sizes_so_many_are_kept() -> None:
    kept = BoundedCache[int](2)
    assert [kept.get(key, lambda key=key: key) for key in range(3)] == [0, 1, 2]  # type: ignore[misc]
    assert kept.get(2, lambda: -1) == 2
    assert kept.get(0, lambda: -1) == -1


def test_two_threads_that_make_the_same_share_one_and_count_it_once() -> None:
    kept, both, found = BoundedCache[list[int]](10, len), Barrier(2), []

    def make() -> list[int]:
        both.wait(10)
        return [0] * 6

    threads = [Thread(target=lambda: found.append(kept.get("same", make))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] is found[1]
    kept.get("other", lambda: [0] * 4)  # fits beside one of 6, not beside two
    assert kept.get("same", list) is found[0]
