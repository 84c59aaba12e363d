"""Images a second of the catalogue against bare albumentations and bare kornia pipelines of the same transforms.

    python benchmarks/timings/transforms.py [--size 128] [--channels 1 3] [--rounds 15] [--json FILE]

Image and mask go together everywhere, on one thread. The pipelines take turns; the figures are medians over the rounds
of images a second of one core's own time, so that other work on the machine counts as little as it can. Every bare
pipeline stands twice: with a transform for each step, and by hand with rotation, zoom and shear as one, which is the
fastest that can be written. `lowest` is the median of the ratios, round by round, to the faster of the two.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A
import cv2
import kornia.augmentation as K
import numpy as np
import torch

from augment.transforms.pipeline import load_preset
from augment.transforms.plan import generator_for
from defects.synthetic.mpi_dataset import MpiPlan

Run = Callable[[], object]
BORDER = cv2.BORDER_REFLECT_101
BATCH = 32
TURN = 0.05  # seconds at least, where a batch takes less


def pictures(size: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, S, S, C) and masks (N, S, S) of procedural fastener images."""
    plan = MpiPlan(size=size, good_fraction=0.0)
    made = [plan.render(plan.settings(i)) for i in range(BATCH)]
    images = np.stack([one.image for one in made])
    return np.ascontiguousarray(images[..., 1:2]) if channels == 1 else images, np.stack([one.mask for one in made])


def albumentations_steps(name: str, fused: bool) -> list[Any]:
    """The same transforms and figures as the preset, in albumentations."""

    def affine(p: float = 0.5, **arguments: Any) -> Any:
        still = {"scale": 1.0, "rotate": 0.0, "shear": 0.0, "translate_percent": 0.0}
        return A.Affine(**{**still, **arguments}, border_mode=BORDER, p=p)

    flips = [A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]
    if name == "flips":
        return flips
    if name == "oliena":
        both = A.Sequential([A.HorizontalFlip(p=1), A.VerticalFlip(p=1)], p=1)
        flip = A.OneOf([A.HorizontalFlip(p=1), A.VerticalFlip(p=1), both], p=0.5)
        light = [
            A.RandomBrightnessContrast(brightness_limit=0.1, contrast_limit=0, p=0.2),
            A.RandomGamma(gamma_limit=(90, 110), p=0.2),
        ]
        shift = {"x": (-0.1, 0.1), "y": (-0.1, 0.1)}
        moves = [affine(rotate=(-5, 5)), affine(translate_percent=shift)]
        return [*([affine(0.75, rotate=(-5, 5), translate_percent=shift)] if fused else moves), flip, *light]
    moves = [affine(rotate=(-15, 15)), affine(scale=(0.9, 1.1)), affine(shear=(-10, 10))]
    one = [affine(0.875, rotate=(-15, 15), scale=(0.9, 1.1), shear=(-10, 10))]
    noise = [A.GaussNoise(std_range=(0.02, 0.06), p=1.0)] if name == "gan_paper_noise" else []
    return [*flips, *(one if fused else moves), *noise]


def kornia_steps(name: str, fused: bool) -> list[Any]:
    """The same transforms and figures as the preset, in kornia."""

    def affine(p: float = 0.5, degrees: float = 0.0, **arguments: Any) -> Any:
        return K.RandomAffine(degrees, **arguments, padding_mode="reflection", align_corners=True, p=p)

    flips = [K.RandomHorizontalFlip(p=0.5), K.RandomVerticalFlip(p=0.5)]
    if name == "flips":
        return flips
    if name == "oliena":
        light = [K.RandomBrightness((0.9, 1.1), p=0.2), K.RandomGamma((0.9, 1.1), p=0.2)]
        moves = [affine(degrees=5.0), affine(translate=(0.1, 0.1))]
        return [*([affine(0.75, 5.0, translate=(0.1, 0.1))] if fused else moves), *flips, *light]
    shear = (-10.0, 10.0, -10.0, 10.0)
    moves = [affine(degrees=15.0), affine(scale=(0.9, 1.1)), affine(shear=shear)]
    one = [affine(0.875, 15.0, scale=(0.9, 1.1), shear=shear)]
    noise = [K.RandomGaussianNoise(std=0.04, p=1.0)] if name == "gan_paper_noise" else []
    return [*flips, *(one if fused else moves), *noise]


def contenders(name: str, images: np.ndarray, masks: np.ndarray) -> dict[str, Run]:
    """Everything that takes turns; each call treats all images once."""
    pipeline = load_preset(name)
    greys = masks.astype(np.uint8)
    floats = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 255
    labels = torch.from_numpy(masks)[:, None].float()
    seeds = range(len(images))
    rng = generator_for(0)
    runs: dict[str, Run] = {
        "ours": lambda: [pipeline(images[i], masks[i], rng) for i in seeds],
        "ours, a seed an image": lambda: [pipeline(images[i], masks[i], generator_for(i)) for i in seeds],
        "ours, batch": lambda: pipeline.batch(floats, labels, seeds=seeds),
    }
    for words, fused in (("a transform a step", False), ("fused by hand", True)):
        bare = A.Compose(albumentations_steps(name, fused), seed=0)
        runs[f"albumentations, {words}"] = lambda bare=bare: [bare(image=images[i], mask=greys[i]) for i in seeds]
        kornia = K.AugmentationSequential(*kornia_steps(name, fused), data_keys=["input", "mask"])
        runs[f"kornia, {words}"] = lambda kornia=kornia: kornia(floats, labels)
    return runs


def measure(runs: dict[str, Run], rounds: int) -> dict[str, list[float]]:
    """Images a second of each round, in turns."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    repeats: dict[str, int] = {}
    for name, run in runs.items():
        run()
        start = time.process_time()
        run()
        repeats[name] = max(1, round(TURN / (time.process_time() - start)))
    for _ in range(rounds):
        for name, run in runs.items():
            run()  # so that what ran before does not count
            start = time.process_time()
            for _ in range(repeats[name]):
                run()
            rates[name].append(BATCH * repeats[name] / (time.process_time() - start))
    return rates


def lowest(rates: dict[str, list[float]], ours: str, other: str) -> float:
    """Median over the rounds of our rate by the faster of the two bare ones."""
    bare = [values for name, values in rates.items() if name.startswith(other)]
    return statistics.median(mine / max(theirs) for mine, *theirs in zip(rates[ours], *bare, strict=True))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--channels", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--presets", nargs="+", default=["flips", "oliena", "gan_paper", "gan_paper_noise"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rows = []
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {given.size} px, batches of {BATCH}, one thread")
    for channels in given.channels:
        images, masks = pictures(given.size, channels)
        for name in given.presets:
            rates = measure(contenders(name, images, masks), given.rounds)
            print(f"\n{name}, {channels} channel{'s' if channels > 1 else ''}")
            for contender, values in rates.items():
                print(f"  {contender:36s} {statistics.median(values):8.0f} images/s")
            ratios = {
                "albumentations": lowest(rates, "ours", "albumentations"),
                "kornia": lowest(rates, "ours, batch", "kornia"),
            }
            for other, ratio in ratios.items():
                print(f"  lowest against {other:21s} {ratio:8.2f} x")
            medians = {contender: round(statistics.median(values)) for contender, values in rates.items()}
            rows.append({"preset": name, "channels": channels, "size": given.size, **medians, "lowest": ratios})
    print(f"\nload {os.getloadavg()[0]:.1f}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
