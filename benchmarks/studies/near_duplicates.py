"""How many planted near-duplicates of held-out images the leak check finds, and how often it is wrong.

    python benchmarks/studies/near_duplicates.py DIR [DIR ...] [--planted 100] [--clean 200] [--crops 128:256]

Held-out images of a set are cropped (side 0.55 to 0.9), mirrored, turned by right angles, brightened, scaled down and
saved as JPEG of quality 40 to 95, each with its probability; the leak check of `mix-defects` searches them. Training
images of other groups must not be found.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import defects
from augment.leakage.near_duplicates import (
    MIN_CROP_SIMILARITY,
    MIN_SIMILARITY,
    ReferenceImages,
    calibrated_threshold,
    find_keypoints,
    small_gray,
)
from augment.mixing.mixture import training_split
from defects.images.crops import CropSpec, read_crop
from defects.images.decode import read_image
from defects.sample import Sample
from engine.seeding import numpy_generator

Image = NDArray[np.uint8]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--planted", type=int, default=100)
    parser.add_argument("--clean", type=int, default=200)
    parser.add_argument("--crops", default="", help="SIZE:CROP: plant crops as a generator has them")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for folder in options.folders:
        measure(folder, options.planted, options.clean, options.seed, options.crops)


def measure(folder: Path, planted: int, clean: int, seed: int, crops: str) -> None:
    """Prints what the leak check finds in one set."""
    train = training_split(folder, val=0.0, test=0.2, seed=seed).samples["train"]
    known = {sample.name for sample in train}
    held = [sample for sample in defects.open(folder).samples if sample.name not in known and sample.has_pixels]
    rng = numpy_generator(seed, "leak")
    start = time.perf_counter()
    crop_spec = CropSpec(*map(int, crops.split(":"))) if crops else None
    references = ReferenceImages(held, crop=crop_spec.crop if crop_spec else None)

    def read(sample: Sample) -> Image:
        return read_crop(sample, crop_spec)[0] if crop_spec else read_image(sample.image)

    print(f"{folder.name}: {len(held)} held-out images indexed in {time.perf_counter() - start:.1f} s")
    some = [train[int(i)] for i in rng.permutation(len(train))[:clean]]
    start = time.perf_counter()
    others = np.asarray([match.value for match in references.compare(some, read=read)])
    seconds = time.perf_counter() - start
    least = calibrated_threshold(others.tolist(), MIN_CROP_SIMILARITY if crop_spec else MIN_SIMILARITY)
    print(
        f"  clean: {int((others > least).sum())} of {len(others)} called near-duplicates at similarity {least:.3f} "
        f"(95 % below {np.quantile(others, 0.95):.3f}, most {others.max():.3f}); {len(others) / seconds:.1f} images/s"
    )
    results: dict[str, list[bool]] = {}
    named = 0
    for _ in range(planted):
        sample = held[int(rng.integers(len(held)))]
        changed, how = plant(read(sample), rng)
        nearest = references.nearest(find_keypoints(small_gray(changed)))
        named += nearest.name == sample.name
        for name in ("all", *how):
            results.setdefault(name, []).append(nearest.value > least)
    for name, hits in results.items():
        print(f"  {name}: {sum(hits)} of {len(hits)} found ({np.mean(hits):.1%})")
    print(f"  the very image named: {named} of {planted}")


def plant(image: Image, rng: np.random.Generator) -> tuple[Image, list[str]]:
    """A changed near-duplicate, and the changes."""
    height, width = image.shape[:2]
    how: list[str] = []
    if rng.random() < 0.6:
        part = rng.uniform(0.55, 0.9)
        rows, columns = int(height * part), int(width * part)
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        image, how = image[top : top + rows, left : left + columns], [*how, "cropped"]
    turns = int(rng.integers(4))
    image, how = np.rot90(image, turns), [*how, *(["turned"] if turns else [])]
    if rng.random() < 0.5:
        image, how = image[:, ::-1], [*how, "mirrored"]
    image = np.ascontiguousarray(image)
    if rng.random() < 0.5:
        changed = image * rng.uniform(0.7, 1.3) + rng.uniform(-20, 20)
        image, how = np.clip(changed, 0, 255).astype(np.uint8), [*how, "brightened"]
    if rng.random() < 0.3:
        factor = max(128 / min(image.shape[:2]), 0.2)
        if factor < 1:
            image = np.atleast_3d(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
            how.append("scaled down")
    if rng.random() < 0.7:
        quality = int(rng.integers(40, 96))
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image, how = np.atleast_3d(cv2.imdecode(data, cv2.IMREAD_UNCHANGED)), [*how, "re-encoded"]
    return np.asarray(image, np.uint8), how


if __name__ == "__main__":
    main()
