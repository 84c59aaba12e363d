"""Folders to mix: real images of several specimens, synthetic and pasted ones, and the command run on them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from augment.cli.mix import RENAMED, app
from defects.images.decode import encode_image
from defects.manifest import row_of, write_manifest
from defects.provenance import Provenance
from defects.sample import GOOD, Sample
from engine.commands import main
from engine.files.atomic import sha256_file, write_json

ROOT = Path(__file__).parents[2]
ENTRY = "from augment.cli.mix import mix_defects; mix_defects()"


def texture(seed: int, size: tuple[int, int] = (40, 48)) -> np.ndarray:
    """(H, W, 1) uint8 of a surface that no other seed gives: noise at several scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros(size, np.float32)
    for sigma in (1, 2, 4, 9):
        total += cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), sigma) * sigma
    low, high = total.min(), total.max()
    return (30 + 190 * (total - low) / (high - low)).astype(np.uint8)[..., None]


def marked(seed: int, size: tuple[int, int] = (40, 48), side: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A texture with a dark block on it, and its mask."""
    image, mask = texture(seed, size), np.zeros(size, bool)
    rng = np.random.default_rng(seed + 10_000)
    top, left = (int(rng.integers(2, length - side - 2)) for length in size)
    mask[top : top + side, left : left + side] = True
    image[mask] = image[mask] // 4
    return image, mask


def write_samples(root: Path, rows: Iterable[tuple[Sample, np.ndarray, np.ndarray]]) -> Path:
    """A sample folder; a sample's image and mask are only names below it."""
    listed = []
    for sample, image, mask in rows:
        image_file, mask_file = root / "images" / f"{sample.name}.png", root / "masks" / f"{sample.name}.png"
        for path, pixels in ((image_file, image), (mask_file, mask)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_image(pixels))
        listed.append(row_of(Sample(sample.name, image_file, mask_file, (), sample.label, sample.group, sample.source,
                                    sample.metadata), root))  # fmt: skip
    write_manifest(root, listed)
    return root


def real_images(root: Path, groups: int = 6, each: int = 2, size: tuple[int, int] = (40, 48)) -> Path:
    """Of each group `each` good images and as many of the classes crack and pit."""
    rows = []
    for group in range(groups):
        for label in (GOOD, "crack", "pit"):
            for index in range(each):
                seed = 1000 * group + 10 * index + len(label)
                image, mask = marked(seed, size, 4 + 2 * (group % 3))
                if label == GOOD:
                    image, mask = texture(seed, size), np.zeros(size, bool)
                name = f"{label}/g{group}_{index}"
                rows.append((Sample(name, Path(), None, (), label, f"part{group}{label}"), image, mask))
    return write_samples(root, rows)


def synthetic_images(
    root: Path,
    count: int = 8,
    *,
    classes: Sequence[str] = ("crack", "pit"),
    size: int = 32,
    seed: int = 0,
    source: str = "synthetic",
) -> Path:
    """Synthetic or pasted images, classes in turn."""
    rows = []
    for index in range(count):
        image, mask = marked(50_000 + 100 * seed + index, (size, size), 4 + 2 * (index % 3))
        label = classes[index % len(classes)]
        columns = {"guide": {"thickness": 4.0}, "checkpoint": "c" * 64, "seed": 1, "mask_source": "m.png"}
        sample = Sample(f"{source}_{index:03d}", Path(), None, (), label, f"m{index}", source, columns)
        rows.append((sample, image, mask))
    return write_samples(root, rows)


def provenance(root: Path, *, size: int = 32, test: Sequence[str] = (), trained: Sequence[Path] = ()) -> Path:
    """Writes the `generator.json` of a folder whose generator was trained on the given files."""
    description = Provenance("c" * 64, size, 1, test=tuple(test), train_sha256=frozenset(map(sha256_file, trained)))
    write_json(root / "generator.json", description.to_dict())
    return root


def mix(*arguments: object) -> int:
    """Runs the command in this process and returns its exit code."""
    return main(app, [str(argument) for argument in arguments], name="mix-defects", renamed=RENAMED)


def start(*arguments: object) -> subprocess.Popen[str]:
    """Starts the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", ENTRY, *map(str, arguments)], cwd=ROOT, text=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def rows_of(root: Path) -> list[dict[str, Any]]:
    """The rows of a folder's manifest."""
    return [json.loads(line) for line in (root / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]


def tree_hash(folder: Path) -> str:
    """One hash of the names and bytes of every file below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def error_lines(text: str) -> list[str]:
    """The error lines of a command's stderr."""
    return [line for line in text.splitlines() if line.startswith("error: ")]
