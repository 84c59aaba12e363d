"""What the atomic writer costs a file: plain writes, one file at a time, and in batches. Prints milliseconds a file."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.files.atomic import write_bytes, write_many


def _plain(folder: Path, contents: list[bytes]) -> None:
    for index, data in enumerate(contents):
        (folder / f"{index}.bin").write_bytes(data)


def _single(folder: Path, contents: list[bytes]) -> None:
    for index, data in enumerate(contents):
        write_bytes(folder / f"{index}.bin", data)


def _batches(size: int) -> Callable[[Path, list[bytes]], None]:
    def write(folder: Path, contents: list[bytes]) -> None:
        for start in range(0, len(contents), size):
            batch = contents[start : start + size]
            write_many((folder / f"{start + index}.bin", data) for index, data in enumerate(batch))

    return write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("."), help="where to write, on the disk to be measured")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--bytes", type=int, default=30_000, help="size of one file")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    random = np.random.default_rng(0)
    contents = [random.bytes(options.bytes) for _ in range(options.files)]
    ways = {
        "plain, unsafe": _plain,
        "write_bytes": _single,
        "write_many by 2": _batches(2),
        "write_many by 8": _batches(8),
        "write_many by 32": _batches(32),
        "write_many by 64": _batches(64),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, write in ways.items():
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                start = time.perf_counter()
                write(Path(folder), contents)
                seconds[name].append(time.perf_counter() - start)
    for name, times in seconds.items():
        print(f"{name:18} {1e3 * float(np.median(times)) / options.files:.3f} ms a file")


if __name__ == "__main__":
    main()
