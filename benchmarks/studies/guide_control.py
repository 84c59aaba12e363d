"""Does a generator follow its guide? Requested against measured values, on masks that it was not trained on.

    python benchmarks/studies/guide_control.py --out docs/results/images [--checkpoint RUN] [--images 384]

Masks are procedural, with a seed of their own. Thickness is measured on the *image*: the glow is segmented at half its
height above the background, within 8 px of the label, and its mean local width taken. Brightness is the mean luminance
inside the label less that of a ring around it. The background is recognized by nearest class means, fitted on rendered
images. Two ways of conditioning are compared: `label`, as gen-defects does it (the mask is first set to the requested
width), and `guide alone` (every mask at the one width of 5 px, so that only the guide can give the width).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from defects.attributes.appearance import brightness, ring
from defects.attributes.guide import NumericEntry
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
CLASSES = ("crack", "scratch", "pit", "spot")


def glow_width(image: NDArray[np.uint8], label: NDArray[np.bool_]) -> float:
    """Mean local width in px of what stands out of the background near the label, at half of its height above it.

    Height is measured along the line from the background's median color to that of the label's brighter 40 %. The rule
    was selected on rendered images, whose width is known, before a generated one was measured.
    """
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.8)
    around, inside = smooth[ring(label, 8)], smooth[label]
    background = np.median(around if len(around) else smooth.reshape(-1, 3), axis=0)
    order = np.argsort(np.square(inside - background).sum(axis=1))
    rise = np.median(inside[order[int(0.6 * len(order)) :]], axis=0) - background
    height = (smooth - background) @ rise / (rise @ rise + 1e-9)
    near = cv2.dilate(label.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (17, 17))) > 0
    hot = near & (height > 0.5)
    _, parts = cv2.connectedComponents(hot.astype(np.uint8), connectivity=8)
    return width(hot & np.isin(parts, np.unique(parts[label & hot])))


def masks_of(count: int, size: int) -> list[NDArray[np.bool_]]:
    result = []
    for i in range(count):
        rng = numpy_generator(SEED, "mask", i)
        mask = ShapeSpec.typical(CLASSES[i % len(CLASSES)], size).sample(rng).draw(size, rng)
        result.append(mask)
    return result


def nearest_mean(masks: list[NDArray[np.bool_]]) -> dict[str, NDArray[np.float32]]:
    """Mean background statistics of rendered images of each class."""
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in BACKGROUNDS}
    for i in range(200):
        name = BACKGROUNDS[i % len(BACKGROUNDS)]
        rendered = render(masks[i % len(masks)], background=name, seed=SEED + i)
        rows[name].append(background_statistics(rendered.image, rendered.mask))
    return {name: np.mean(values, axis=0) for name, values in rows.items()}


@dataclass(frozen=True)
class Control:
    """Requested and measured values of some images, (N,) each."""

    thickness_requested: NDArray[np.float64]
    thickness_measured: NDArray[np.float64]
    brightness_requested: NDArray[np.float64]
    brightness_measured: NDArray[np.float64]
    background_right: NDArray[np.bool_]
    classes: NDArray[np.str_]

    def summary(self) -> dict[str, Any]:
        """Correlations and mean errors."""
        glows = self.thickness_measured > 0
        thickness_error = np.abs(self.thickness_requested - self.thickness_measured)[glows].mean()
        return {
            "thickness_spearman": spearman(self.thickness_requested, self.thickness_measured),
            "brightness_spearman": spearman(self.brightness_requested, self.brightness_measured),
            "thickness_error_px": round(float(thickness_error), 2),
            "brightness_error": round(float(np.abs(self.brightness_requested - self.brightness_measured).mean()), 3),
            "background_right": round(float(self.background_right.mean()), 3),
            "no_glow_found": int((~glows).sum()),
            "thickness_spearman_by_class": {
                label: spearman(
                    self.thickness_requested[self.classes == label], self.thickness_measured[self.classes == label]
                )
                for label in CLASSES
            },
        }


def spearman(requested: Any, measured: Any) -> float:
    return round(float(spearmanr(requested, measured).statistic), 3)


def entries(generator: LoadedGenerator) -> tuple[NumericEntry, NumericEntry]:
    """Thickness and brightness of its schema."""
    thickness, bright = generator.schema["thickness"], generator.schema["brightness"]
    if not isinstance(thickness, NumericEntry) or not isinstance(bright, NumericEntry):
        raise SystemExit("this generator has no numeric thickness and brightness")
    return thickness, bright


def measure(generator: LoadedGenerator, count: int, way: str) -> Control:
    """Generates `count` images with random guides and measures them."""
    schema, masks = generator.schema, masks_of(count, generator.size)
    sampler = Sampler(cast(WholeImageGenerator, generator.network), select_device("auto"), SEED)
    means = nearest_mean(masks)
    thickness, bright = entries(generator)
    rows = []
    for first in range(0, count, sampler.count):
        items = range(first, min(first + sampler.count, count))
        guides = [numpy_generator(SEED, "guide", i).random(2) for i in items]
        backgrounds = [BACKGROUNDS[i % len(BACKGROUNDS)] for i in items]
        labels = [set_width(masks[i], thickness.unscale(guide[0])) for i, guide in zip(items, guides, strict=True)]
        conditions = labels if way == "label" else [set_width(masks[i], 5.0) for i in items]
        vectors = [
            schema.encode({"thickness": guide[0], "brightness": guide[1], "background": background})
            for guide, background in zip(guides, backgrounds, strict=True)
        ]
        images = sampler.sample(conditions, vectors, [("control", i) for i in items])
        for i, image, label, guide, background in zip(items, images, labels, guides, backgrounds, strict=True):
            stats = background_statistics(image, label)
            recognized = min(means, key=lambda name, stats=stats: float(np.abs(means[name] - stats).sum()))
            rows.append(
                (
                    thickness.unscale(guide[0]),
                    glow_width(image, label),
                    bright.unscale(guide[1]),
                    brightness(image, label),
                    background == recognized,
                    CLASSES[i % len(CLASSES)],
                )
            )
    return Control(*map(np.array, zip(*rows, strict=True)))


def reference(count: int, size: int, low: float, high: float) -> float:
    """Spearman of the thickness measurement itself, on rendered images whose width is known."""
    real, measured = [], []
    for i, mask in enumerate(masks_of(count, size)):
        rng = numpy_generator(SEED, "reference", i)
        rendered = render(
            mask,
            thickness=float(rng.uniform(low, high)),
            brightness=float(rng.uniform(0.1, 1)),
            background=BACKGROUNDS[i % 4],
            seed=SEED + i,
        )
        if rendered.mask.any():
            real.append(width(rendered.mask))
            measured.append(glow_width(rendered.image, rendered.mask))
    return spearman(real, measured)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=384)
    options = parser.parse_args(arguments)
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), constrained_layout=True)
    report: dict[str, Any] = {"images": options.images}
    for way, axis in (("label", axes[0]), ("guide alone", axes[1])):
        generator = load_generator(options.checkpoint)
        control = measure(generator, options.images, way)
        summary = report[way] = control.summary()
        axis.scatter(control.thickness_requested, control.thickness_measured, s=6, alpha=0.6)
        axis.axline((4, 4), slope=1, color="0.6", lw=1)
        axis.set(
            title=f"thickness, {way} (Spearman {summary['thickness_spearman']})",
            xlabel="requested, px",
            ylabel="measured on the image, px",
        )
        if way == "label":
            axes[2].scatter(control.brightness_requested, control.brightness_measured, s=6, alpha=0.6)
            axes[2].axline((0.2, 0.2), slope=1, color="0.6", lw=1)
            axes[2].set(
                title=f"brightness (Spearman {summary['brightness_spearman']})", xlabel="requested", ylabel="measured"
            )
            entry = entries(generator)[0]
            report["thickness_spearman_of_rendered_images"] = reference(
                options.images, generator.size, entry.low, entry.high
            )
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "guide_control.png", dpi=80)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
