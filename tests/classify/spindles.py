"""Photographs all of which are defective, compared by their squares."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from augment.transforms.pipeline import Pipeline
from classify.utility.design.bench import Bench
from classify.utility.design.settings import AUTO, Settings
from classify.utility.runners.features import FrozenFeatures
from classify.utility.runners.frozen import FrozenRunner
from defects.manifest import row_of, write_manifest
from defects.sample import Sample
from metrics.features.cache import FeatureCache
from tests.builders import save
from tests.classify.utility_folders import DEPTH, Looks, bench_of
from tests.metrics.surfaces import SIDE, defect, painted, surface


def spindles(root: Path, count: int = 36) -> Path:
    """Photographs of three squares, one of them with a defect; three photographs a part."""
    rng = np.random.default_rng(4)
    rows = []
    for index in range(count):
        mask = np.zeros((SIDE, 3 * SIDE), bool)
        mask[:, (index % 3) * SIDE :][:, :SIDE] = defect(rng, "pit")
        ground = np.concatenate([surface(rng) for _ in range(3)], axis=1)
        image = save(root / "images" / f"{index:04}.png", painted(ground, mask, DEPTH))
        file = save(root / "masks" / f"{index:04}.png", mask)
        rows.append(row_of(Sample(f"{index:04}", image, file, (), "pit", f"place-{index // 3}"), root))
    write_manifest(root, rows)
    return root


def by_squares(real: Path, unit: str = AUTO, good: int | None = None, **changes: object) -> Bench:
    settings = Settings(size=64, window=64, channels=1, steps=300, batch=32, versions=2, unit=unit, good=good)
    values = {"pasted": "alpha", "ratios": (0.0, 1.0), "shots": (4, None), "seeds": 2, "settings": settings}
    return bench_of(real, {}, **(values | changes))


class Dark(Looks):
    """Of `Looks` what sees dark spots, and nothing else."""

    fingerprint = "dark-1"
    dim = 4

    def __call__(self, images: Tensor) -> npt.NDArray[np.float32]:
        rows = [
            cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2.0) - image.mean() for image in images[:, 0].numpy()
        ]
        return np.asarray([np.percentile(row, (0, 2, 10, 50)) for row in rows], np.float32)


def seeing(bench: Bench) -> FrozenRunner:
    return FrozenRunner(bench, FrozenFeatures(Dark(), FeatureCache(None), Pipeline.from_preset("flips")))
