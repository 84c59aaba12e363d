"""A tiny blending generator, images and masks to place, and what a run of `gen-defects --backgrounds` wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from defects.attributes.appearance import BackgroundStats, LocalContrast
from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.images.decode import encode_image
from engine.checkpoint import save_checkpoint
from gan.checkpoint import describe
from gan.config import BlendNetwork
from gan.networks.blend_generator import BlendGenerator
from tests.builders.generate import crack

SIDE, BLEND_RADIUS = 32, 3
TEST = ("held",)


def save_blender(
    stem: Path,
    *,
    channels: int = 3,
    crop: int | None = None,
    strength: float = 30,
    background_stats: Sequence[BackgroundStats] = (BackgroundStats(0.5, 0.1),) * 7,
    local_contrasts: Sequence[LocalContrast] = (),
) -> Path:
    """A generator with random weights that changes what it may, saved as `train-gan` saves one."""
    torch.manual_seed(0)
    schema = GuideSchema(
        (
            NumericEntry("thickness", 1.5, 6.0, "px"),
            NumericEntry("brightness", -0.3, 0.5),
            CategoricalEntry("kind", ("crack", "pit")),
        )
    )
    config = BlendNetwork(
        size=SIDE,
        blend_radius=BLEND_RADIUS,
        channels=channels,
        width=8,
        max_width=16,
        latent=6,  # type: ignore[arg-type]
    )
    network = BlendGenerator.from_schema(config, schema)
    network.to_change.weight.data *= strength
    network.to_soft.weight.data *= 30
    table = [{"thickness": 2.0 + i / 3, "brightness": i / 20, "kind": ("crack", "pit")[i % 2]} for i in range(7)]
    meta = {"data": {"kinds": ["crack", "pit"], "test": list(TEST)}, "config": {"data": {"window": crop}}}
    return save_checkpoint(
        stem, network.state_dict(), describe(config, schema, table, background_stats, local_contrasts) | meta
    )


def surface(seed: int, height: int = 60, width: int = 80, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(60, 190, (height, width, channels)).astype(np.uint8)


def save_images(folder: Path, count: int = 3, **shape: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"part_{number}.png").write_bytes(encode_image(surface(number, **shape)))
    return folder


def save_masks_of(folder: Path, height: int, width: int, names: tuple[str, ...] = ("crack/a.png", "pit/b.png")) -> Path:
    """Masks of a image's size, away from its edges."""
    for number, name in enumerate(names):
        mask = np.zeros((height, width), np.uint8)
        part = crack(min(height, width) // 2, number, 3)
        mask[8 : 8 + part.shape[0], 10 : 10 + part.shape[1]] = part
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    return folder


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
