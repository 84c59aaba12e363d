"""Writing a mixture: memory at 1,000 and at 10,000 images, and images a second against decoding and encoding alone.

    python benchmarks/timings/materialize.py [--images 1000 10000] [--preset oliena] [--size 128]

Each number of images is written in a process of its own, whose peak memory is read at its end. The limit is what the
same threads reach when they only read an image and a mask, encode both as PNG and write nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from augment.mixing.folder import write_mixture
from augment.mixing.planning import make_plan
from augment.mixing.request import Request
from defects.images.decode import encode_image, read_sample
from defects.manifest import row_of, write_manifest
from defects.sample import Sample
from engine.files.atomic import write_many
from engine.seeding import numpy_generator

WORKERS = 2
SOURCES = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", nargs="+", type=int, default=[1000, 10_000])
    parser.add_argument("--preset", default="oliena")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(once(Path(arguments.one[0]), int(arguments.one[1]), arguments.preset)))
        return
    with tempfile.TemporaryDirectory() as folder:
        real = photographs(Path(folder) / "real", arguments.size)
        limit = encoding(real)
        print(f"decoding and encoding alone, {WORKERS} threads: {limit:.0f} images/s")
        for number in arguments.images:
            command = [sys.executable, __file__, "--one", str(real), str(number), "--preset", arguments.preset]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"{found['images']} images ({arguments.preset}): {found['rate']:.0f} images/s "
                f"({found['rate'] / limit:.2f} of the limit), peak memory {found['peak']:.0f} MiB "
                f"({found['before']:.0f} MiB before the first image)"
            )


def once(real: Path, number: int, preset: str) -> dict[str, float]:
    """Writes at least `number` images in this process."""
    request = Request(
        real, val=0.0, test=0.0, augment=preset, augmentations=max(1, number // SOURCES - 1), check="files"
    )
    plan = make_plan(request)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with tempfile.TemporaryDirectory(dir=real.parent) as out:
        done = write_mixture(plan, Path(out) / "out", workers=WORKERS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"images": done.images, "rate": done.images / done.seconds, "peak": peak, "before": before}


def encoding(real: Path) -> float:
    """Images a second that are only read and encoded again."""
    paths = sorted((real / "images").iterdir())
    samples = [Sample(p.stem, p, real / "masks" / p.name, label="crack") for p in paths]

    def work(sample: Sample) -> int:
        image, mask = read_sample(sample)
        return len(encode_image(image)) + len(encode_image(mask))

    cv2.setNumThreads(1)
    start = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, samples * 4))
    return 4 * len(samples) / (time.perf_counter() - start)


def photographs(root: Path, size: int) -> Path:
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
