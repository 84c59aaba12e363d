"""Small folders of surfaces whose worth for a classifier is known beforehand, and features that need no network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from augment.transforms.pipeline import Pipeline
from classify.utility.design.bench import Bench, Request, open_bench
from classify.utility.design.settings import Settings
from classify.utility.report.findings import Found
from classify.utility.runners.features import FrozenFeatures
from classify.utility.runners.frozen import FrozenRunner
from defects.manifest import row_of, write_manifest
from defects.sample import GOOD, Sample
from metrics.features.cache import FeatureCache
from tests.builders import save
from tests.metrics.surfaces import defect, painted, surface

DEPTH = 34.0


class Looks:
    """Features of the kind a network has: a few that see dark spots, among many that see other things."""

    fingerprint = "looks-1"
    dim = 60

    def __call__(self, images: Tensor) -> npt.NDArray[np.float32]:
        """(N, 60)."""
        rows = []
        for image in images[:, 0].numpy():
            light = image.astype(np.float32)
            smooth = cv2.GaussianBlur(light, (0, 0), 2.0) - light.mean()
            told = np.asarray([smooth.min(), np.percentile(smooth, 2), np.percentile(smooth, 10), light.std()])
            seed = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], "big")
            rows.append(np.append(told / 10, np.random.default_rng(seed).normal(size=self.dim - 4)))
        return np.asarray(rows, np.float32)


def folder(root: Path, defective: int, good: int, *, seed: int, look: str = "true", parts: int = 2) -> Path:
    """A sample folder.

    Args:
        root: Where it is written.
        defective: Images called defective, in turns of two kinds.
        good: Images called good.
        seed: Of everything.
        look: `true`: what is called defective is; `empty`: nothing is; `swapped`: what is called good is.
        parts: Images of one part.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(defective + good):
        label = GOOD if index >= defective else ("scratch", "pit")[index // parts % 2]
        mask = defect(rng, "scratch" if label == GOOD else label)
        ground = surface(rng)
        shown = {"true": label != GOOD, "empty": False, "swapped": label == GOOD}[look]
        image = save(root / "images" / f"{index:04}.png", painted(ground, mask, DEPTH) if shown else ground)
        file = save(root / "masks" / f"{index:04}.png", mask if label != GOOD else np.zeros_like(mask))
        rows.append(row_of(Sample(f"{index:04}", image, file, (), label, f"{root.name}-{index // parts}"), root))
    write_manifest(root, rows)
    return root


def real_folder(root: Path) -> Path:
    """48 defective and 80 good images of 64 parts."""
    return folder(root / "real", 48, 80, seed=1)


def bench_of(real: Path, synthetic: dict[str, Path], **changes: object) -> Bench:
    """A small comparison: ratio 5, 4 and all defective images, 6 seeds."""
    settings = Settings(size=64, channels=1, steps=120, batch=32, versions=3, val_fraction=0.35, test_fraction=0.35)
    values = {"pasted": None, "ratios": (0.0, 5.0), "shots": (4, None), "seeds": 6, "settings": settings} | changes
    return open_bench(Request(real, tuple(synthetic.items()), **values))  # type: ignore[arg-type]


def runner(bench: Bench, cache: Path | None = None) -> FrozenRunner:
    """Of cells on `Looks`."""
    return FrozenRunner(bench, FrozenFeatures(Looks(), FeatureCache(cache), Pipeline.from_preset("flips")))


def outcome(bench: Bench) -> Found:
    """All cells computed and compared."""
    computing = runner(bench)
    return Found(bench, [computing.run(cell) for cell in bench.cells])


def verdicts(found: Found) -> dict[str, str]:
    """Verdict of each synthetic set beside classical augmentation."""
    return {
        "+".join(one.made): one.verdict
        for one in found.comparisons
        if one.role == "without" and one.other == "real+classical"
    }
