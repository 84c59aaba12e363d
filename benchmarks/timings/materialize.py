"""Writing a mixture: memory at 1,000 and at 10,000 images, and images a second against decoding and encoding alone.

    python benchmarks/timings/materialize.py [--images 1000 10000] [--preset oliena] [--rounds 1]

Each number of images is written in a process of its own, whose peak memory is read at its end. The limit is what the
same threads reach when they only read an image and a mask, encode both as PNG and write nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from turns import take_turns, timing_parser

import augment
import defects
from defects.images.decode import encode_image
from defects.manifest import row_of, write_manifest
from defects.sample import Sample
from engine.files.atomic import write_many
from engine.seeding import numpy_generator

WORKERS = 2
SOURCES = 500
REPEATS = 4
"""Of each real image in a turn of the limit."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = timing_parser(__doc__, rounds=1)
    parser.add_argument("--images", nargs="+", type=int, default=[1000, 10_000])
    parser.add_argument("--preset", default="oliena")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(write_one(Path(options.one[0]), int(options.one[1]), options.preset)))
        return
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        real = real_images(Path(folder) / "real", options.size)
        results: dict[int, list[dict[str, float]]] = {number: [] for number in options.images}

        def write(number: int) -> None:
            command = [sys.executable, __file__, "--one", str(real), str(number), "--preset", options.preset]
            results[number].append(
                json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            )

        ways: dict[str, Callable[[], object]] = {"decoding and encoding alone": partial(read_and_encode, real)}
        ways |= {f"{number} images": partial(write, number) for number in options.images}
        times = take_turns(ways, rounds=options.rounds, warm_up=0)
    limit = REPEATS * SOURCES / times.median("decoding and encoding alone")
    print(f"decoding and encoding alone, {WORKERS} threads: {limit:.0f} images/s")
    for rows in results.values():
        rate, peak, before = (statistics.median(row[key] for row in rows) for key in ("rate", "peak", "before"))
        print(
            f"{rows[0]['images']} images ({options.preset}): {rate:.0f} images/s ({rate / limit:.2f} of the limit), "
            f"peak memory {peak:.0f} MiB ({before:.0f} MiB before the first image)"
        )
    print(times.machine())


def write_one(real: Path, number: int, preset: str) -> dict[str, float]:
    """Writes at least `number` images in this process."""
    augmentations = max(1, number // SOURCES - 1)
    mixture = augment.mix(real, preset=preset, augmentations=augmentations, val=0, test=0, check="files")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with tempfile.TemporaryDirectory(dir=real.parent) as out:
        result = mixture.write(Path(out) / "out", workers=WORKERS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"images": result.images, "rate": result.images / result.seconds, "peak": peak, "before": before}


def read_and_encode(real: Path) -> None:
    """Images are only read and encoded again."""
    samples = defects.open(real).samples

    def work(sample: defects.Sample) -> int:
        image, mask = defects.read_sample(sample)
        return len(encode_image(image)) + len(encode_image(mask))

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, samples * REPEATS))


def real_images(root: Path, size: int) -> Path:
    """Noisy surfaces with a bar on them."""
    rows, files = [], []
    for number in range(SOURCES):
        rng = numpy_generator(number, "surface")
        light = cv2.GaussianBlur(rng.normal(size=(size, size, 3)).astype(np.float32), (0, 0), 2) * 150 + 128
        image = np.clip(light + rng.normal(scale=4, size=light.shape), 0, 255).astype(np.uint8)
        mask = np.zeros((size, size), bool)
        mask[size // 3 : size // 3 + 8, size // 4 : size // 2] = True
        image[mask] //= 3
        paths = root / "images" / f"{number:04d}.png", root / "masks" / f"{number:04d}.png"
        files += [(paths[0], encode_image(image)), (paths[1], encode_image(mask))]
        rows.append((f"{number:04d}", *paths))
    write_many(files)
    write_manifest(root, [row_of(Sample(name, image, mask, (), "crack", name), root) for name, image, mask in rows])
    return root


if __name__ == "__main__":
    main()
