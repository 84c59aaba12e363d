"""Small folders of surfaces of known use for a classifier, and features that need no network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from augment.transforms.pipeline import Pipeline
from classify.utility.design.bench import Bench, Request, open_bench
from classify.utility.design.trials import AUTO, Settings
from classify.utility.report.results import TaskResult
from classify.utility.runners.features import FrozenFeatures
from classify.utility.runners.frozen import FrozenRunner
from defects.manifest import row_of, write_manifest
from defects.sample import GOOD, Sample
from metrics.features.cache import FeatureCache
from tests.builders import save
from tests.builders.scratches import SIDE, defect, surface, with_defect

DEPTH = 34.0


class SpotFeatures:
    """A few features of dark spots among many of noise, as a network has."""

    fingerprint = "looks-1"
    dim = 60

    def __call__(self, images: Tensor) -> npt.NDArray[np.float32]:
        """(N, 60)."""
        rows = []
        for image in images[:, 0].numpy():
            light = image.astype(np.float32)
            smooth = cv2.GaussianBlur(light, (0, 0), 2.0) - light.mean()
            spots = np.asarray([smooth.min(), np.percentile(smooth, 2), np.percentile(smooth, 10), light.std()])
            seed = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], "big")
            rows.append(np.append(spots / 10, np.random.default_rng(seed).normal(size=self.dim - 4)))
        return np.asarray(rows, np.float32)


def folder(root: Path, defective: int, good: int, *, seed: int, labels: str = "true", parts: int = 2) -> Path:
    """A sample folder.

    Args:
        root: Where it is written.
        defective: Images labeled defective, of two classes in turns.
        good: Images labeled good.
        seed: Of everything.
        labels: `true`; `empty`: nothing is defective; `swapped`: what is labeled good is.
        parts: Images of one group.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(defective + good):
        label = GOOD if index >= defective else ("scratch", "pit")[index // parts % 2]
        mask = defect(rng, "scratch" if label == GOOD else label)
        background = surface(rng)
        visible = {"true": label != GOOD, "empty": False, "swapped": label == GOOD}[labels]
        image = save(
            root / "images" / f"{index:04}.png", with_defect(background, mask, DEPTH) if visible else background
        )
        file = save(root / "masks" / f"{index:04}.png", mask if label != GOOD else np.zeros_like(mask))
        rows.append(row_of(Sample(f"{index:04}", image, file, (), label, f"{root.name}-{index // parts}"), root))
    write_manifest(root, rows)
    return root


def real_folder(root: Path) -> Path:
    """48 defective and 80 good images of 64 groups."""
    return folder(root / "real", 48, 80, seed=1)


def bench_of(real: Path, synthetic: dict[str, Path], **changes: object) -> Bench:
    """A small comparison: ratio 5, 4 and all defective images, 6 seeds."""
    settings = Settings(
        size=64, channels=1, steps=120, batch=32, augmentations=3, val_fraction=0.35, test_fraction=0.35
    )
    values = {"pasted": None, "ratios": (0.0, 5.0), "shots": (4, None), "seeds": 6, "settings": settings} | changes
    return open_bench(Request(real, tuple(synthetic.items()), **values))  # type: ignore[arg-type]


def runner(bench: Bench, cache: Path | None = None) -> FrozenRunner:
    """Of trials on `SpotFeatures`."""
    return FrozenRunner(bench, FrozenFeatures(SpotFeatures(), FeatureCache(cache), Pipeline.from_preset("flips")))


def outcome(bench: Bench) -> TaskResult:
    """All trials computed and compared."""
    computing = runner(bench)
    return TaskResult(bench, [computing.run(trial) for trial in bench.trials])


def verdicts(result: TaskResult) -> dict[str, str]:
    """Verdict of each synthetic set next to classical augmentation."""
    return {
        "+".join(one.sources): one.verdict
        for one in result.comparisons
        if one.role == "without" and one.other == "real+classical"
    }


def spindles(root: Path, count: int = 36) -> Path:
    """Images of three crops, one of them with a defect; three images a group."""
    rng = np.random.default_rng(4)
    rows = []
    for index in range(count):
        mask = np.zeros((SIDE, 3 * SIDE), bool)
        mask[:, (index % 3) * SIDE :][:, :SIDE] = defect(rng, "pit")
        background = np.concatenate([surface(rng) for _ in range(3)], axis=1)
        image = save(root / "images" / f"{index:04}.png", with_defect(background, mask, DEPTH))
        file = save(root / "masks" / f"{index:04}.png", mask)
        rows.append(row_of(Sample(f"{index:04}", image, file, (), "pit", f"place-{index // 3}"), root))
    write_manifest(root, rows)
    return root


def by_crops(real: Path, eval_on: str = AUTO, good: int | None = None, **changes: object) -> Bench:
    settings = Settings(size=64, crop=64, channels=1, steps=300, batch=32, augmentations=2, eval_on=eval_on, good=good)
    values = {"pasted": "alpha", "ratios": (0.0, 1.0), "shots": (4, None), "seeds": 2, "settings": settings}
    return bench_of(real, {}, **(values | changes))


class Darkness(SpotFeatures):
    """Of `SpotFeatures` those of dark spots alone."""

    fingerprint = "dark-1"
    dim = 4

    def __call__(self, images: Tensor) -> npt.NDArray[np.float32]:
        rows = [
            cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2.0) - image.mean() for image in images[:, 0].numpy()
        ]
        return np.asarray([np.percentile(row, (0, 2, 10, 50)) for row in rows], np.float32)


def dark_runner(bench: Bench) -> FrozenRunner:
    return FrozenRunner(bench, FrozenFeatures(Darkness(), FeatureCache(None), Pipeline.from_preset("flips")))
