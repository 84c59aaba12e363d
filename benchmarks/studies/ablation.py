"""What each addition to the published recipe is worth: the same data, seed and number of images, one thing left out.

    python benchmarks/studies/ablation.py DATA --out runs/ablation [--images 6000] [--threads 2] [--style-weights FILE]

Every cell is a short training run (its files are kept, so that an interrupted bench goes on) and four measures on
held-out masks and guides, drawn with fresh noise:

    ground      Frechet distance between Gaussians fitted to the ground's statistics (means and deviations of each
                channel, mean gradients), generated against held-out real; 0 is best
    variety     mean absolute difference of two draws of one mask and guide, as a share of that of two real images
    brightness  mean absolute difference of requested and measured brightness
    contrast    Spearman correlation of requested and measured brightness
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from scipy.stats import spearmanr

from defects.attributes.guide import NumericEntry, brightness
from defects.formats.dataset import open_dataset
from defects.images.header import image_info
from engine.config import load_config
from engine.runtime.device import select_device
from gan.checkpoint import load_generator
from gan.config import GanConfig
from gan.data.attributes import background_statistics, guide_columns
from gan.data.crops import CropSource
from gan.data.dataset import has_defect
from gan.generation.plan import Sampler
from gan.networks.registry import WholeImageGenerator
from gan.training.launch import start

SEED = 11
CELLS: dict[str, tuple[str, ...]] = {
    "magna": (),
    "no posterior": ("network.encoder=false", "loss.swap=0", "loss.guide=0", "loss.kl=0"),
    "no swapped grounds": ("loss.swap=0",),
    "no spatial noise": ("network.noise_injection=false",),
    "no modulation": ("network.modulation=false",),
    "decoder from 1 x 1": ("network.start=1",),
    "one scale, no spectral norm": ("network.discriminator_scales=1", "network.spectral=false"),
    "plain reconstruction": ("loss.defect_weight=1",),
    "no style": ("loss.style=0",),
}


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Frechet distance of Gaussians fitted to rows, after scaling each column by its deviation in `b`."""
    scale = b.std(0) + 1e-9
    a, b = a / scale, b / scale
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(covariances[0] @ covariances[1])
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(sum(covariances) - 2 * np.real(root)))


def score(data: Path, run: Path) -> dict[str, float]:
    """The four measures of a run on its held-out samples."""
    generator = load_generator(run)
    config = GanConfig.model_validate(generator.meta["config"])
    held = set(generator.meta["data"]["test"])
    samples = [s for s in open_dataset(data).samples if s.name in held and s.label != "good" and has_defect(s)]
    source = CropSource(
        samples,
        guide_columns(samples, config.data),
        size=generator.size,
        channels=generator.channels,
        config=config.data,
    )
    windows = [source.cut(i, None) for i in range(len(samples))]
    entry = generator.schema["brightness"]
    if not isinstance(entry, NumericEntry):
        raise SystemExit("expected a brightness entry in the schema")
    scaled = [generator.schema.scale(w.guide) for w in windows]
    draws = []
    for draw in range(2):
        painter = Sampler(cast(WholeImageGenerator, load_generator(run).network), select_device("auto"), SEED + draw)
        images: list[NDArray[np.uint8]] = []
        for first in range(0, len(windows), painter.count):
            part = range(first, min(first + painter.count, len(windows)))
            vectors = [generator.schema.encode(scaled[i]) for i in part]
            images.extend(painter.sample([windows[i].mask for i in part], vectors, [("cell", i) for i in part]))
        draws.append(images)
    real = np.array([background_statistics(w.image, w.mask) for w in windows], np.float64)
    fake = np.array([background_statistics(f, w.mask) for f, w in zip(draws[0], windows, strict=True)], np.float64)
    shown = [brightness(f, w.mask) for f, w in zip(draws[0], windows, strict=True)]
    asked = [entry.unscale(float(s["brightness"] or 0.0)) for s in scaled]
    order = np.random.default_rng(SEED).permutation(len(windows))
    between = np.mean([np.abs(windows[i].image.astype(int) - windows[j].image).mean() for i, j in enumerate(order)])
    within = np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(*draws, strict=True)])
    return {
        "ground": frechet(fake, real),
        "variety": float(within / between),
        "brightness": float(np.abs(np.subtract(shown, asked)).mean()),
        "contrast": float(spearmanr(shown, asked).statistic),
        "n": len(windows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", default="magna")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--style-weights", type=Path)
    parser.add_argument("--only", help="one cell")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dataset = open_dataset(options.data)
    channels = image_info(dataset.samples[0].image).channels
    for name, changes in CELLS.items():
        if options.only and name != options.only:
            continue
        run = options.out / name.replace(" ", "-").replace(",", "")
        config = load_config(options.config, GanConfig, [f"network.channels={channels}", *options.set, *changes])
        defective = sum(s.label != "good" for s in dataset.samples) * (1 - config.data.test_fraction)
        epochs = max(1, round(options.images / (defective * (1 + config.data.good_per_defect))))
        config = config.model_copy(
            update={
                "train": config.train.model_copy(
                    update={"epochs": epochs, "checkpoint_every": epochs, "sample_every": epochs}
                )
            }
        )
        if not (run / "score.json").exists():
            start(dataset, config, run, style_weights=options.style_weights, resume=run.exists())
            (run / "score.json").write_text(json.dumps(score(options.data, run)), encoding="utf-8")
        row = json.loads((run / "score.json").read_text(encoding="utf-8"))
        print(f"{name:30}" + "".join(f"  {key} {value:.3f}" for key, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
