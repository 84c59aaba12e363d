"""Images a second of the catalog against bare albumentations and bare kornia pipelines of the same transforms.

    python benchmarks/timings/transforms.py [--size 128] [--channels 1 3] [--rounds 15] [--json FILE]

Image and mask go together everywhere, on one thread. The pipelines take turns (`turns.py`) and are compared by
processor time, so that other work on the machine counts as little as it can. Every bare pipeline stands twice: with a
transform for each step, and by hand with rotation, zoom and shear as one, which is the fastest that can be written.
`lowest` is the median of the ratios, round by round, to the faster of the two.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A
import cv2
import kornia.augmentation as K
import numpy as np
import torch
from turns import Times, take_turns, timing_parser

from augment.transforms.pipeline import load_preset
from augment.transforms.plan import generator_for
from defects.synthetic.mpi_dataset import MpiPlan

Run = Callable[[], object]
BORDER = cv2.BORDER_REFLECT_101
BATCH = 32
TURN = 0.05  # seconds at least, where a batch takes less


def procedural_images(size: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, S, S, C) and masks (N, S, S) of procedural fastener images."""
    plan = MpiPlan(size=size, good_fraction=0.0)
    rendered = [plan.render(plan.settings(i)) for i in range(BATCH)]
    images = np.stack([one.image for one in rendered])
    return np.ascontiguousarray(images[..., 1:2]) if channels == 1 else images, np.stack([one.mask for one in rendered])


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
    gray_masks = masks.astype(np.uint8)
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
        runs[f"albumentations, {words}"] = lambda bare=bare: [bare(image=images[i], mask=gray_masks[i]) for i in seeds]
        kornia = K.AugmentationSequential(*kornia_steps(name, fused), data_keys=["input", "mask"])
        runs[f"kornia, {words}"] = lambda kornia=kornia: kornia(floats, labels)
    return runs


def lowest(times: Times, ours: str, library: str) -> float:
    """How many times as fast as the faster of a library's two pipelines."""
    return times.ratio_by_round(ours, [name for name in times.wall if name.startswith(library)], "processor")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = timing_parser(__doc__, rounds=15)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--channels", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--presets", nargs="+", default=["flips", "oliena", "gan_paper", "gan_paper_noise"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rows = []
    print(f"{options.size} px, batches of {BATCH}, one thread")
    for channels in options.channels:
        images, masks = procedural_images(options.size, channels)
        for name in options.presets:
            times = take_turns(contenders(name, images, masks), rounds=options.rounds, least=TURN)
            print(f"\n{name}, {channels} channel{'s' if channels > 1 else ''}")
            print(times.table("albumentations, a transform a step", items=BATCH))
            ratios = {
                "albumentations": lowest(times, "ours", "albumentations"),
                "kornia": lowest(times, "ours, batch", "kornia"),
            }
            for library, ratio in ratios.items():
                print(f"  lowest against {library:21s} {ratio:8.2f} x")
            rates = {way: round(BATCH / times.median(way, "processor")) for way in times.wall}
            rows.append({"preset": name, "channels": channels, "size": options.size, **rates, "lowest": ratios})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
