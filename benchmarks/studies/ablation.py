"""What each addition to the published recipe is worth: the same data, seed and number of images, one thing left out.

    python benchmarks/studies/ablation.py DATA --out runs/ablation [--images 6000] [--threads 2] [--style-weights FILE]

Every variant is a short training run (an interrupted study continues) and four measures on held-out masks and guides,
generated with fresh noise:

    background  Frechet distance between Gaussians fitted to background statistics (means and deviations of each
                channel, mean gradients), generated against held-out real; 0 is best
    variety     mean absolute difference of two images of one mask and guide, as a share of that of two real images
    brightness  mean absolute difference of requested and measured brightness
    contrast    Spearman correlation of requested and measured brightness
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from scipy.stats import spearmanr

import defects
import gan
from defects.attributes.appearance import brightness
from defects.attributes.guide import NumericEntry
from defects.images.decode import image_info
from defects.sample import GOOD
from engine.config import load_config
from engine.files.atomic import write_json
from engine.runtime.device import select_device
from gan.checkpoint import load_generator
from gan.data.attributes import background_statistics, guide_columns
from gan.data.crops import CropSource
from gan.data.dataset import has_defect
from gan.generation.plan import Sampler
from gan.networks.registry import WholeImageGenerator
from metrics import frechet_distance

SEED = 11
VARIANTS: dict[str, dict[str, Any]] = {
    "magna": {},
    "no encoder": {"network.encoder": False, "loss.swap": 0, "loss.guide": 0, "loss.kl": 0},
    "no swapped backgrounds": {"loss.swap": 0},
    "no spatial noise": {"network.noise_injection": False},
    "no modulation": {"network.modulation": False},
    "decoder from 1 x 1": {"network.start": 1},
    "one scale, no spectral norm": {"network.discriminator_scales": 1, "network.spectral": False},
    "plain reconstruction": {"loss.defect_weight": 1},
    "no style": {"loss.style": 0},
}


def score(data: Path, run: Path) -> dict[str, float]:
    """The four measures of a run on its held-out samples."""
    generator = load_generator(run)
    config = gan.GanConfig.model_validate(generator.meta["config"])
    held = set(generator.meta["data"]["test"])
    samples = [s for s in defects.open(data).samples if s.name in held and s.label != GOOD and has_defect(s)]
    columns = guide_columns(samples, config.data)
    source = CropSource(samples, columns, size=generator.size, channels=generator.channels, config=config.data)
    crops = [source.cut(i, None) for i in range(len(samples))]
    entry = generator.schema["brightness"]
    if not isinstance(entry, NumericEntry):
        raise SystemExit("expected a brightness entry in the schema")
    scaled = [generator.schema.scale(crop.guide) for crop in crops]
    repeats = []
    for repeat in range(2):
        sampler = Sampler(cast(WholeImageGenerator, load_generator(run).network), select_device("auto"), SEED + repeat)
        images: list[NDArray[np.uint8]] = []
        for first in range(0, len(crops), sampler.count):
            batch = range(first, min(first + sampler.count, len(crops)))
            vectors = [generator.schema.encode(scaled[i]) for i in batch]
            images.extend(sampler.sample([crops[i].mask for i in batch], vectors, [("cell", i) for i in batch]))
        repeats.append(images)
    real = np.array([background_statistics(crop.image, crop.mask) for crop in crops], np.float64)
    pairs = list(zip(repeats[0], crops, strict=True))
    fake = np.array([background_statistics(image, crop.mask) for image, crop in pairs], np.float64)
    scale = real.std(0) + 1e-9
    measured = [brightness(image, crop.mask) for image, crop in pairs]
    requested = [entry.unscale(float(values["brightness"] or 0.0)) for values in scaled]
    order = np.random.default_rng(SEED).permutation(len(crops))
    between = np.mean([np.abs(crops[i].image.astype(int) - crops[j].image).mean() for i, j in enumerate(order)])
    within = np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(*repeats, strict=True)])
    return {
        "background": frechet_distance(real=real / scale, fake=fake / scale),
        "variety": float(within / between),
        "brightness": float(np.abs(np.subtract(measured, requested)).mean()),
        "contrast": float(spearmanr(measured, requested).statistic),
        "n": len(crops),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", default="magna")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the configuration")
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--style-weights", type=Path)
    parser.add_argument("--only", help="one variant")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    samples = defects.open(options.data).samples
    common = {"network.channels": image_info(samples[0].image).channels}
    common |= {key: yaml.safe_load(value) for key, _, value in (each.partition("=") for each in options.set)}
    config = load_config(options.config, gan.GanConfig, options.set)
    defective = sum(s.label != GOOD for s in samples) * (1 - config.data.test_fraction)
    epochs = max(1, round(options.images / (defective * (1 + config.data.good_per_defect))))
    common |= {f"train.{key}": epochs for key in ("epochs", "checkpoint_every", "sample_every")}
    for name, changes in VARIANTS.items():
        if options.only and name != options.only:
            continue
        run = options.out / name.replace(" ", "-").replace(",", "")
        if not (run / "score.json").exists():
            weights = options.style_weights
            gan.train(
                options.data,
                options.config,
                run,
                overrides=common | changes,
                style_weights=weights,
                resume=run.exists(),
            )
            write_json(run / "score.json", score(options.data, run))
        row = json.loads((run / "score.json").read_text(encoding="utf-8"))
        print(f"{name:30}" + "".join(f"  {key} {value:.3f}" for key, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
