"""Which score detects which damage? Real images, damaged step by step, go through bench-fid as synthetic ones.

    python benchmarks/studies/sensitivity.py DATA/magnetic-tile --out runs/sensitivity --docs docs/results

Defective tiles are divided by tile into three: training images (30 %), real images to compare with (35 %) and the
rest, which is measured undamaged and with one damage at a time. The undamaged set is the reference: a score *detects* a
damage when it has moved the wrong way beyond the undamaged set's 95 % interval. `copies` consists of training images,
as if a generator had memorized them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

import defects
from defects.images.crops import CropSpec, read_crop
from defects.images.decode import encode_image
from defects.manifest import row_of, write_manifest
from defects.sample import GOOD, Sample
from engine.files.atomic import write_bytes, write_text
from engine.seeding import numpy_generator

matplotlib.use("Agg")
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Damage = Callable[[Image, Mask, np.random.Generator], tuple[Image, Mask]]

# Where a score has no interval: beyond these it says that something is wrong.
LIMITS = {"c_t": -3.0, "copies": 0.05}
CROP_SPEC = CropSpec(128, None, 1)
SHARES = {"train": 0.3, "real": 0.35, "given": 0.35}


def blurred(sigma: float) -> Damage:
    return lambda image, mask, _: (
        np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8).reshape(image.shape),
        mask,
    )


def noisy(sigma: float) -> Damage:
    def add(image: Image, mask: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
        return np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype(np.uint8), mask

    return add


def erased(image: Image, mask: Mask, _: np.random.Generator) -> tuple[Image, Mask]:
    """The defect is inpainted; the label stays."""
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8))
    inpainted = np.asarray(cv2.inpaint(image, wide, 5, cv2.INPAINT_TELEA), np.uint8)
    return inpainted.reshape(image.shape), mask


def shifted(pixels: int) -> Damage:
    return lambda image, mask, _: (image, np.roll(mask, (pixels, -pixels), axis=(0, 1)))


def unchanged(image: Image, mask: Mask, _: np.random.Generator) -> tuple[Image, Mask]:
    return image, mask


def mirrored(image: Image, mask: Mask, _: np.random.Generator) -> tuple[Image, Mask]:
    return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])


def cases(given: list[Sample], train: list[Sample]) -> Iterator[tuple[str, list[Sample], Damage]]:
    """Name, samples and damage of every set that is measured; the undamaged one first."""
    yield "undamaged", given, unchanged
    for sigma in (1, 2, 4):
        yield f"blur-{sigma}", given, blurred(sigma)
    for sigma in (4, 10, 25):
        yield f"noise-{sigma}", given, noisy(sigma)
    for modes in (20, 5, 1):
        yield f"modes-{modes}", [given[(i % modes) * len(given) // modes] for i in range(len(given))], unchanged
    yield "erased", given, erased
    for pixels in (4, 16):
        yield f"shifted-{pixels}", given, shifted(pixels)
    yield "copies", [train[i % len(train)] for i in range(len(given))], mirrored


def write_set(
    root: Path, samples: list[Sample], damage: Damage, *, source: str, ending: Literal["png", "jpg"] = "png"
) -> None:
    """Crops of the samples, damaged, as a sample folder."""
    rows: list[dict[str, Any]] = []
    for number, sample in enumerate(samples):
        image, mask = damage(*read_crop(sample, CROP_SPEC), numpy_generator(0, root.name, number))
        name = f"{number:04d}"
        image_file, mask_file = root / "images" / f"{name}.{ending}", root / "masks" / f"{name}.png"
        row = replace(sample, name=name, image=image_file, mask=mask_file, polygons=(), source=source, metadata={})
        write_bytes(image_file, encode_image(image, ending))
        write_bytes(mask_file, encode_image(mask.astype(np.uint8)[..., None] * 255, "png"))
        rows.append(row_of(row, root))
    write_manifest(root, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/sensitivity"))
    parser.add_argument("--docs", type=Path, help="folder for sensitivity.md and its figure")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    samples = [s for s in defects.open(options.data).samples if s.label != GOOD]
    samples = [s for s in samples if read_crop(s, CROP_SPEC)[1].any()]
    parts = defects.split(samples, SHARES, 0)
    write_set(options.out / "train", parts["train"], unchanged, source="real")
    write_set(options.out / "real", parts["real"], unchanged, source="real")
    names = []
    for name, own, damage in cases(parts["given"], parts["train"]):
        write_set(options.out / name, own, damage, source="synthetic", ending="jpg" if name == "copies" else "png")
        names.append(name)
    command = [str(Path(sys.executable).parent / "bench-fid"), "--real", str(options.out / "real")]
    command += ["--train", str(options.out / "train"), "--out", str(options.out / "report"), "--force"]
    command += [part for name in names for part in ("--fake", f"{name}={options.out / name}")]
    subprocess.run([*command, "--skip", "control", "--workers", str(options.workers)], check=True)
    results = json.loads((options.out / "report" / "results.json").read_text(encoding="utf-8"))
    text = study(results, names, {key: len(value) for key, value in parts.items()}, options.docs)
    sys.stdout.write(text)
    if options.docs is not None:
        write_text(options.docs / "sensitivity.md", text)


def study(results: dict[str, Any], names: list[str], counts: dict[str, int], docs: Path | None) -> str:
    """The table of values, each bold where the score detects the damage, and its figure."""
    scores = {source["name"]: {score["name"]: score for score in source["scores"]} for source in results["sources"]}
    clean = scores["undamaged"]
    shown = [name for name, score in clean.items() if score["value"] is not None]
    lines = [
        f"{counts['train']} training tiles, {counts['real']} real ones to compare with, {counts['given']} measured.",
        "",
        "| score (better) | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for score in shown:
        values = [_formatted(scores[name][score], clean[score]) for name in names]
        lines.append(f"| {score} ({clean[score]['better']}) | " + " | ".join(values) + " |")
    if docs is not None:
        _plot(scores, shown, names, docs / "images" / "sensitivity.png")
    return "\n".join(lines) + "\n"


def distance(score: dict[str, Any], clean: dict[str, Any]) -> float | None:
    """How far a score is on the worse side of the undamaged one, in half widths of the latter's 95 % interval.

    Scores of `LIMITS` are counted in units of their limit.
    """
    if score["value"] is None:
        return None
    sign = 1.0 if clean["better"] == "lower" else -1.0
    if clean["name"] in LIMITS:
        return sign * float(score["value"] / abs(LIMITS[clean["name"]]))
    if clean["low"] is None or clean["high"] is None:
        return None
    edge = clean["high"] if clean["better"] == "lower" else clean["low"]
    return float(sign * (score["value"] - clean["value"]) / max(abs(edge - clean["value"]), 1e-9))


def _formatted(score: dict[str, Any], clean: dict[str, Any]) -> str:
    far = distance(score, clean)
    text = "none" if score["value"] is None else f"{score['value']:.3g}"
    return f"**{text}**" if far is not None and far > 1 else text


def _plot(scores: dict[str, dict[str, Any]], shown: list[str], names: list[str], path: Path) -> None:
    import io

    import matplotlib.pyplot as plt

    values = [[distance(scores[name][score], scores["undamaged"][score]) for name in names] for score in shown]
    grid = np.array([[np.nan if value is None else value for value in row] for row in values])
    figure, axes = plt.subplots(figsize=(0.62 * len(names) + 3, 0.34 * len(shown) + 1.4), layout="constrained")
    axes.imshow(np.clip(grid, -4, 4), cmap="RdBu_r", vmin=-4, vmax=4, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(shown)), shown)
    for row, column in np.argwhere(grid > 1):
        axes.text(column, row, "•", ha="center", va="center", color="white")
    axes.set_title("half intervals on the worse side of the undamaged set (dot: detected)", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_bytes(path, buffer.getvalue())


if __name__ == "__main__":
    main()
