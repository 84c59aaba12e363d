"""Tiny parts with defects in a sample folder, a tiny configuration, and runs of `train-gan` on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.formats.dataset import Dataset, open_dataset
from defects.images.decode import encode_image
from defects.manifest import row_of, write_manifest
from defects.masks.width import Mask
from defects.sample import GOOD, Sample
from engine.commands import main
from gan.cli.train import app
from gan.config import GanConfig, idle_keys
from gan.data.dataset import Prepared, prepare
from gan.training.registry import build_trainer
from gan.training.trainer import Trainer

SIDE = 40
TINY: dict[str, dict[str, Any]] = {
    "network": {"size": 32, "width": 4, "max_width": 8, "discriminator_width": 4, "spectral": False},
    "loss": {"style": 0.0, "kl": 0.003, "guide": 1.0},
    "data": {"backgrounds": 2, "good_per_defect": 0.5},
    "train": {"epochs": 4, "batch_size": 4, "checkpoint_every": 2, "sample_every": 2, "precision": "fp32"},
}
BASES = {
    "blend": ["--config", "blend_bsdata", "--set", "network.crop=null", "--set", "data.crop=null",
              "--set", "data.brightness_jitter=0", "--set", "data.color_jitter=0"],
    "pix2pix": ["--config", "pix2pix"],
    "cyclegan": ["--config", "cyclegan"],
}  # fmt: skip
FREE = ("environment.json", "timing.jsonl")
"""What may differ between two runs of one configuration: the command line, the clock."""
SCHEMA = GuideSchema(
    (
        NumericEntry("thickness", 2, 8, "px"),
        NumericEntry("brightness", -0.5, 0.5),
        CategoricalEntry("background", ("a", "b")),
    )
)
LITERAL = {
    "network": {"normalization": "batch", "modulation": False, "noise_injection": False, "encoder": False, "start": 1},
    "loss": {"kl": 0.0, "swap": 0.0, "guide": 0.0},
}
"""The paper's network as it is written down."""
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
    ),
]
"""Parameters of a test with a twin on the CPU."""


def tiny(**sections: Mapping[str, Any]) -> GanConfig:
    """The tiny configuration with changes by section."""
    return GanConfig.model_validate({"name": "tiny", **_merged(sections)})


def _merged(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The tiny sections with changes, without the keys that the architecture does not have."""
    merged = {name: values | dict(sections.get(name, {})) for name, values in TINY.items()}
    architecture = merged["network"].get("architecture", "magna")
    given = {(name, key) for name, section in sections.items() for key in section}
    return {
        name: {
            key: value
            for key, value in values.items()
            if (name, key) in given or key not in idle_keys(values, name, architecture)
        }
        for name, values in merged.items()
    }


def overrides(**sections: Mapping[str, Any]) -> list[str]:
    """The same as `--set` arguments, on top of a packaged configuration of the architecture."""
    merged = _merged(sections)
    return [
        *BASES.get(merged["network"].get("architecture", "magna"), []),
        *(
            argument
            for section, values in merged.items()
            for key, value in values.items()
            for argument in ("--set", f"{section}.{key}={'null' if value is None else value}")
        ),
    ]


def part(
    seed: int, *, label: str = "crack", side: int = SIDE, channels: int = 3, tone: int = 250
) -> tuple[np.ndarray, Mask]:
    """(side, side, C) grain on one of two backgrounds, with a bar (crack) or a block (pit), and its mask."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), bool)
    if label != GOOD:
        y, x = rng.integers(8, side - 16, 2)
        height, width = (3, 12) if label == "crack" else (7, 7)
        mask[y : y + height, x : x + width] = True
    image = (rng.integers(0, 30, (side, side, channels)) + (60 if seed % 2 else 140)).astype(np.uint8)
    image[mask] = tone
    return image, mask


def sample_folder(
    root: Path,
    classes: Sequence[str] = ("crack", "pit") * 4 + (GOOD,) * 4,
    *,
    channels: int = 3,
    side: int = SIDE,
    grouped: int = 1,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> Path:
    """Images, masks and a manifest; `grouped` neighbors are one part; `columns` are further ones by sample."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    rows = []
    for index, label in enumerate(classes):
        image, mask = part(index, label=label, channels=channels, side=side)
        name = f"part_{index:02d}"
        for folder, pixels in (("images", image), ("masks", mask)):
            (root / folder / f"{name}.png").write_bytes(encode_image(pixels, "png"))
        metadata = {key: values[index] for key, values in (columns or {}).items() if values[index] is not None}
        paths = root / "images" / f"{name}.png", root / "masks" / f"{name}.png"
        rows.append(row_of(Sample(name, *paths, label=label, group=f"g{index // grouped}", metadata=metadata), root))
    write_manifest(root, rows)
    return root


def dataset(root: Path, *args: Any, **options: Any) -> Dataset:
    """`sample_folder`, opened."""
    return open_dataset(sample_folder(root, *args, **options))


def trainer(prepared: Prepared, config: GanConfig) -> Trainer:
    """Networks of a configuration on the CPU, without style loss."""
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    return build_trainer(prepared, config, fabric)


def prepared(root: Path, config: GanConfig, *args: Any, **options: Any) -> Prepared:
    """`sample_folder`, split and measured."""
    return prepare(dataset(root, *args, **options), config)


def arguments(data: Path, out: Path, /, **sections: Mapping[str, Any]) -> list[str]:
    """The command line of a tiny run."""
    return [str(data), "--out", str(out), "--device", "cpu", *overrides(**sections)]


def train_gan(data: Path, out: Path, /, *more: str, **sections: Mapping[str, Any]) -> int:
    """Runs the command in this process with the tiny configuration and returns its exit code."""
    return main(app, [*arguments(data, out, **sections), *more], name="train-gan")


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The only line on stderr that begins with `error:`."""
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error:")]
    return line


def metrics(run: Path) -> list[dict[str, float]]:
    """The rows of a run's `metrics.jsonl`."""
    return [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]


def save_vgg(file: Path) -> Path:
    """Random convolutions with the names and shapes of torchvision's VGG-16."""
    widths = [(64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (512, 256)]
    layers = dict(zip((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), widths + [(512, 512)] * 5, strict=True))
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for index, (wide, narrow) in layers.items():
        weight = torch.randn(wide, narrow, 3, 3, generator=generator) * (2 / (9 * narrow)) ** 0.5
        tensors |= {f"features.{index}.weight": weight.half(), f"features.{index}.bias": torch.zeros(wide).half()}
    save_file(tensors, file)
    return file


def tree(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by its name, hidden ones included, but for those in `FREE`."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in FREE
    }


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """Side in px of what one output sees, from (kernel, stride) pairs."""
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field
