"""A tiny generator, masks, and runs of `gen-defects` in this process and in others."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from engine.checkpoint import save_checkpoint
from engine.commands import main
from gan.checkpoint import describe
from gan.cli.generate import app
from gan.config import MagnaNetwork
from gan.networks.magna_generator import MagnaGenerator

SIDE = 32
ROOT = Path(__file__).parents[2]
ENTRY = "from gan.cli.generate import gen_defects; gen_defects()"


def save_tiny_generator(stem: Path, *, channels: int = 3, classes: Sequence[str] = ("crack", "pit")) -> Path:
    """A 32 px generator with random weights, saved as `train-gan` saves one; no class guide without classes."""
    torch.manual_seed(0)
    entries = [
        NumericEntry("thickness", 1.5, 6.0, "px"),
        NumericEntry("brightness", -0.3, 0.5),
        CategoricalEntry("background", ("dark", "light", "rough")),
        *([CategoricalEntry("kind", tuple(classes))] if classes else []),
    ]
    schema = GuideSchema(tuple(entries))
    config = MagnaNetwork(size=SIDE, channels=channels, width=8, max_width=16)  # type: ignore[arg-type]
    network = MagnaGenerator(config, schema.size, schema.columns("background"))
    table = [
        {"thickness": 2.0 + i / 3, "brightness": i / 20, "background": ("dark", "light", "rough")[i % 3]}
        | ({"kind": classes[i % len(classes)]} if classes else {})
        for i in range(7)
    ]
    return save_checkpoint(stem, network.state_dict(), describe(config, schema, table))


def crack(side: int = 48, seed: int = 0, thickness: int = 3) -> np.ndarray:
    """A jagged line from left to right on a (side, side) mask, 0 and 255."""
    rng = np.random.default_rng(seed)
    xs = np.linspace(2, side - 3, 7)
    ys = np.clip(side / 2 + np.cumsum(rng.normal(0, side / 12, 7)), 3, side - 4)
    mask = np.zeros((side, side), np.uint8)
    cv2.polylines(mask, [np.stack([xs, ys], 1).round().astype(np.int32)], False, 255, thickness)
    return mask


def save_masks(folder: Path, names: Sequence[str]) -> Path:
    """Masks of different shapes under the given names, extension included."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix, crack(40 + number % 5 * 8, number))[1].tobytes())
    return folder


def gen_defects(*arguments: object) -> int:
    """Runs the command in this process and returns its exit code."""
    return main(app, [str(argument) for argument in arguments], name="gen-defects")


def start(*arguments: object, threads: int | None = None) -> subprocess.Popen[str]:
    """Starts the command in a process of its own."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    return subprocess.Popen(
        [sys.executable, "-c", ENTRY, *(str(argument) for argument in arguments)],
        env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, hidden ones included, sorted."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def tree_hash(folder: Path) -> str:
    """One hash of the names and the bytes of every file below a folder."""
    digest = hashlib.sha256()
    for path in files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode(errors="surrogateescape"))
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def recorded(folder: Path) -> int:
    """How many lines the manifest has; 0 when it is not there yet."""
    path = folder / "metadata.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0
