"""Tiny images with defects, a tiny network in place of a real one, checkpoints, and runs of `train-classifier`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import classify.models.cam
from classify.cli.train import app
from classify.config import ClassifierConfig
from classify.data.dataset import Prepared, open_data, prepare
from classify.models.checkpoint import LoadedClassifier, load_classifier, neurons, save_classifier
from classify.models.weights import build_network
from defects.images.decode import encode_image
from defects.manifest import row_of, write_manifest
from defects.sample import GOOD, Sample
from engine.commands import main

SIDE = 40
TINY: dict[str, dict[str, Any]] = {
    "data": {"size": 32, "preset": "flips", "test_fraction": 0.2, "val_fraction": 0.2},
    "train": {"epochs": 3, "batch_size": 4, "precision": "fp32"},
}
FREE = ("environment.json", ".lock")
"""What may differ between two runs of one configuration: it holds the command line."""


class Small(nn.Sequential):
    """Two convolutions and a norm: (N, 3, S, S) to (N, 8, S / 4, S / 4)."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8, bias=False),
        )


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network of the configuration is a small one: what is tested is the training around it."""

    def built(name: str, *, short: bool = False) -> tuple[nn.Module, int, bool]:
        return Small(), 8, False

    monkeypatch.setattr(classify.models.cam, "build_features", built)


def defect_image(seed: int, label: str, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """(side, side, 3) grain with a bright bar (crack), a bright block (pit) or nothing (good), and its mask."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), bool)
    if label != GOOD:
        y, x = rng.integers(8, side - 20, 2)
        height, width = (3, 14) if label == "crack" else (8, 8)
        mask[y : y + height, x : x + width] = True
    image = (rng.integers(0, 30, (side, side, 3)) + 100).astype(np.uint8)
    image[mask] = 240
    return image, mask


def parts(
    root: Path,
    labels: Sequence[str] = ("crack", GOOD) * 12,
    *,
    side: int = SIDE,
    grouped: int = 1,
    sources: Sequence[str] | None = None,
    columns: Mapping[int, Mapping[str, Any]] | None = None,
    first: int = 0,
) -> Path:
    """A sample folder; `grouped` neighbors are one group; `columns` are further ones of some samples."""
    rows = []
    for index, label in enumerate(labels):
        name = f"part_{first + index:02d}"
        image, mask = defect_image(first + index, label, side)
        paths = root / "images" / f"{name}.png", root / "masks" / f"{name}.png"
        for path, pixels in zip(paths, (image, mask), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_image(pixels))
        source = sources[index] if sources else "real"
        more = dict((columns or {}).get(index, {}))
        group = f"g{(first + index) // grouped}"
        rows.append(row_of(Sample(name, *paths, label=label, group=group, source=source, metadata=more), root))
    write_manifest(root, rows)
    return root


def tiny(task: str = "binary", **sections: Mapping[str, Any]) -> ClassifierConfig:
    """The tiny configuration with changes by section."""
    names = {*TINY, *sections}
    merged = {name: TINY.get(name, {}) | dict(sections.get(name, {})) for name in names}
    return ClassifierConfig.model_validate({"name": "tiny", "task": task, **merged})


def prepared(root: Path, config: ClassifierConfig | None = None, **options: Any) -> Prepared:
    """`parts`, opened and split."""
    return prepare(open_data(parts(root, **options)), config or tiny())


def arguments(data: Path, out: Path, **sections: Mapping[str, Any]) -> list[str]:
    """The command line of a tiny run without pretrained weights."""
    merged = {name: TINY.get(name, {}) | dict(sections.get(name, {})) for name in {**TINY, **sections}}
    sets = [
        argument
        for section, values in merged.items()
        for key, value in values.items()
        for argument in ("--set", f"{section}.{key}={json.dumps(value)}")
    ]
    return [str(data), "--out", str(out), "--device", "cpu", "--weights", "none", "--set", "train.ema=0", *sets]


def train_classifier(data: Path, out: Path, *more: str, **sections: Mapping[str, Any]) -> int:
    """Runs the command in this process and returns its exit code."""
    return main(app, [*arguments(data, out, **sections), *more], name="train-classifier")


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The only line on stderr that begins with `error:`."""
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error:")]
    return line


def tree(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by its name, but for those in `FREE`."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in FREE
    }


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two state dicts are equal to the bit."""
    return first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)


TINY_NETWORK = {"name": "mobilenetv3_large", "short": True}


def checkpoint(
    root: Path,
    *,
    network: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    classes: tuple[str, ...] = ("good", "defect"),
    bias: float = 0.0,
    meta: dict[str, Any] | None = None,
) -> Path:
    """A checkpoint below `root`, whose last neuron is biased by `bias` to the last class."""
    task = "binary" if classes == ("good", "defect") else "classes"
    content = {"task": task, "network": network or TINY_NETWORK, "data": {"size": 32, "channels": 1} | (data or {})}
    config = ClassifierConfig.model_validate(content)
    built = build_network(config.network, neurons(config.task, classes), seed=1)
    with torch.no_grad():
        last = [module for module in built.modules() if isinstance(module, torch.nn.Linear)][-1]
        last.weight *= 3
        last.bias[-1] += bias
    return save_classifier(root / "checkpoints" / "best", built.eval(), config, classes, meta or {"data": {}})


def loaded(root: Path, **options: Any) -> LoadedClassifier:
    """The same, read back."""
    return load_classifier(checkpoint(root, **options))
