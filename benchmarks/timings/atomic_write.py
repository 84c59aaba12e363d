"""What the atomic writer costs a file: plain writes, one file at a time, and in batches.

python benchmarks/timings/atomic_write.py [--folder DIR] [--files 1000] [--rounds 5]
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from turns import take_turns, timing_parser

from engine.files.atomic import write_bytes, write_many

PLAIN = "plain, unsafe"


def one_by_one(write: Callable[[Path, bytes], object], contents: list[bytes], folder: str) -> None:
    """Each file by itself."""
    for index, data in enumerate(contents):
        write(Path(folder, f"{index}.bin"), data)


def in_batches(size: int, contents: list[bytes], folder: str) -> None:
    """Files written and synced together."""
    for start in range(0, len(contents), size):
        batch = contents[start : start + size]
        write_many((Path(folder, f"{start + index}.bin"), data) for index, data in enumerate(batch))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = timing_parser(__doc__, rounds=5)
    parser.add_argument("--folder", type=Path, default=Path("."), help="where to write, on the disk to be measured")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--bytes", type=int, default=30_000, help="size of one file")
    options = parser.parse_args(arguments)
    random = np.random.default_rng(0)
    contents = [random.bytes(options.bytes) for _ in range(options.files)]
    ways: dict[str, Callable[[str], object]] = {
        PLAIN: partial(one_by_one, Path.write_bytes, contents),
        "write_bytes": partial(one_by_one, write_bytes, contents),
        **{f"write_many by {size}": partial(in_batches, size, contents) for size in (2, 8, 32, 64)},
    }
    times = take_turns(
        ways, rounds=options.rounds, warm_up=0, setup=lambda: tempfile.TemporaryDirectory(dir=options.folder)
    )
    print(times.table(PLAIN, items=options.files, unit="file"))


if __name__ == "__main__":
    main()
