"""Does a generator draw what its guide asks for? Requested against measured values, on masks it has not seen.

    python benchmarks/studies/guide_control.py --out docs/results [--checkpoint RUN] [--images 384]

Masks come from `gen-mpi` with a seed of their own. Thickness is measured on the *image*: the glow is cut out at half
its height above the ground, within 8 px of the label, and its mean local width taken.
Brightness is the mean luminance inside the label less that of a ring around it. The background is told by nearest
class means, fitted on the rendered images. Two ways of conditioning are compared: `label`, as gen-defects does it (the
mask is first brought to the requested width), and `guide alone` (every mask at the one width of 5 px, so that only the
guide can tell the width).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import cast

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from defects.attributes.guide import NumericEntry, brightness, ring
from defects.masks.width import set_width, width
from defects.synthetic.masks import ShapeSpec
from defects.synthetic.mpi_image import render
from defects.synthetic.mpi_surface import BACKGROUNDS
from engine.runtime.device import select_device
from engine.seeding import numpy_generator
from gan.checkpoint import LoadedGenerator, load_generator
from gan.data.attributes import background_statistics
from gan.generation.plan import Sampler
from gan.networks.registry import WholeImageGenerator

matplotlib.use("Agg")
SEED = 20231861
KINDS = ("crack", "scratch", "pit", "spot")


def glow_width(image: NDArray[np.uint8], label: NDArray[np.bool_]) -> float:
    """Mean local width in px of what stands out of the ground near the label, at half of its height above the ground.

    Height is counted along the line from the ground's median colour to that of the label's brighter 40 %. Chosen on
    rendered images, whose width is known, before a generated one was measured.
    """
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.8)
    around, inside = smooth[ring(label, 8)], smooth[label]
    ground = np.median(around if len(around) else smooth.reshape(-1, 3), axis=0)
    order = np.argsort(np.square(inside - ground).sum(axis=1))
    rise = np.median(inside[order[int(0.6 * len(order)) :]], axis=0) - ground
    height = (smooth - ground) @ rise / (rise @ rise + 1e-9)
    near = cv2.dilate(label.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (17, 17))) > 0
    hot = near & (height > 0.5)
    _, parts = cv2.connectedComponents(hot.astype(np.uint8), connectivity=8)
    return width(hot & np.isin(parts, np.unique(parts[label & hot])))


def masks_of(count: int, size: int) -> list[NDArray[np.bool_]]:
    result = []
    for i in range(count):
        rng = numpy_generator(SEED, "mask", i)
        mask = ShapeSpec.typical(KINDS[i % len(KINDS)], size).sample(rng).draw(size, rng)
        result.append(mask)
    return result


def nearest_mean(masks: list[NDArray[np.bool_]]) -> dict[str, NDArray[np.float32]]:
    """Mean background statistics of rendered images of each class."""
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in BACKGROUNDS}
    for i in range(200):
        name = BACKGROUNDS[i % len(BACKGROUNDS)]
        shown = render(masks[i % len(masks)], background=name, seed=SEED + i)
        rows[name].append(background_statistics(shown.image, shown.mask))
    return {name: np.mean(values, axis=0) for name, values in rows.items()}


def measure(generator: LoadedGenerator, count: int, way: str) -> dict[str, NDArray[np.float64] | list[str]]:
    """Draws `count` images with random requests; returns requested and measured values."""
    size, schema = generator.size, generator.schema
    masks = masks_of(count, size)
    painter = Sampler(cast(WholeImageGenerator, generator.network), select_device("auto"), SEED)
    means = nearest_mean(masks)
    thickness = schema["thickness"]
    bright = schema["brightness"]
    if not isinstance(thickness, NumericEntry) or not isinstance(bright, NumericEntry):
        raise SystemExit("this generator has no numeric thickness and brightness")
    rows = []
    for first in range(0, count, painter.count):
        items = range(first, min(first + painter.count, count))
        asked = [numpy_generator(SEED, "guide", i).random(2) for i in items]
        background_stats = [BACKGROUNDS[i % len(BACKGROUNDS)] for i in items]
        labels = [set_width(masks[i], thickness.unscale(a[0])) for i, a in zip(items, asked, strict=True)]
        shown = labels if way == "label" else [set_width(masks[i], 5.0) for i in items]
        vectors = [
            schema.encode({"thickness": a[0], "brightness": a[1], "background": g})
            for a, g in zip(asked, background_stats, strict=True)
        ]
        images = painter.sample(shown, vectors, [("control", i) for i in items])
        for i, image, label, a, ground in zip(items, images, labels, asked, background_stats, strict=True):
            seen = background_statistics(image, label)
            told = min(means, key=lambda name: float(np.abs(means[name] - seen).sum()))
            rows.append(
                (
                    thickness.unscale(a[0]),
                    glow_width(image, label),
                    bright.unscale(a[1]),
                    brightness(image, label),
                    ground == told,
                    KINDS[i % len(KINDS)],
                )
            )
    columns = list(zip(*rows, strict=True))
    return {
        name: np.array(column)
        for name, column in zip(
            ("thickness_asked", "thickness_seen", "brightness_asked", "brightness_seen", "background_right", "kind"),
            columns,
            strict=True,
        )
    }


def reference(count: int, size: int, low: float, high: float) -> float:
    """Spearman of the thickness measurement itself, on rendered images whose width is known."""
    asked, seen = [], []
    for i, mask in enumerate(masks_of(count, size)):
        rng = numpy_generator(SEED, "reference", i)
        shown = render(
            mask,
            thickness=float(rng.uniform(low, high)),
            brightness=float(rng.uniform(0.1, 1)),
            background=BACKGROUNDS[i % 4],
            seed=SEED + i,
        )
        if shown.mask.any():
            asked.append(width(shown.mask))
            seen.append(glow_width(shown.image, shown.mask))
    return float(spearmanr(asked, seen).statistic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=384)
    options = parser.parse_args()
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), constrained_layout=True)
    report: dict[str, object] = {"images": options.images}
    for way in ("label", "guide alone"):
        generator = load_generator(options.checkpoint)
        seen = measure(generator, options.images, way)
        thin = seen["thickness_seen"] > 0
        report[way] = {
            "thickness_spearman": round(float(spearmanr(seen["thickness_asked"], seen["thickness_seen"]).statistic), 3),
            "brightness_spearman": round(
                float(spearmanr(seen["brightness_asked"], seen["brightness_seen"]).statistic), 3
            ),
            "thickness_error_px": round(
                float(np.abs(seen["thickness_asked"] - seen["thickness_seen"])[thin].mean()), 2
            ),
            "brightness_error": round(float(np.abs(seen["brightness_asked"] - seen["brightness_seen"]).mean()), 3),
            "background_right": round(float(seen["background_right"].mean()), 3),
            "no_glow_found": int((~thin).sum()),
            "thickness_spearman_by_kind": {
                kind: round(
                    float(
                        spearmanr(
                            seen["thickness_asked"][seen["kind"] == kind], seen["thickness_seen"][seen["kind"] == kind]
                        ).statistic
                    ),
                    3,
                )
                for kind in KINDS
            },
        }
        axis = axes[0] if way == "label" else axes[1]
        axis.scatter(seen["thickness_asked"], seen["thickness_seen"], s=6, alpha=0.6)
        axis.axline((4, 4), slope=1, color="0.6", lw=1)
        axis.set(
            title=f"thickness, {way} (Spearman {report[way]['thickness_spearman']})",
            xlabel="requested, px",
            ylabel="measured on the image, px",
        )
        if way == "label":
            axes[2].scatter(seen["brightness_asked"], seen["brightness_seen"], s=6, alpha=0.6)
            axes[2].axline((0.2, 0.2), slope=1, color="0.6", lw=1)
            axes[2].set(
                title=f"brightness (Spearman {report[way]['brightness_spearman']})",
                xlabel="requested",
                ylabel="measured",
            )
            entry = generator.schema["thickness"]
            report["thickness_spearman_of_rendered_images"] = round(
                reference(options.images, generator.size, entry.low, entry.high), 3
            )
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "guide_control.png", dpi=80)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
