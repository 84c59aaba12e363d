"""The figures of the documentation.

python benchmarks/figures/generated.py real DATA RUN PNG       held-out real images, synthetic ones of their masks
python benchmarks/figures/generated.py guide MASK PNG [RUN]    one mask, noise fixed, many guide settings
python benchmarks/figures/generated.py epochs RUN PNG          the same masks and noise over the epochs of a run
python benchmarks/figures/generated.py compare DATA SETS PNG   held-out masks: the real image, and every generator's
python benchmarks/figures/generated.py local-contrast DATA MASKS RUN PNG [--inpaint]
                                   training masks: real, as generated, and with the local contrast of real defects
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

import defects
from defects.attributes.guide import CategoricalEntry, NumericEntry
from defects.images.crops import read_crop
from defects.images.decode import as_channels, encode_image, read_image, read_mask_image
from defects.masks.width import pad_and_resize, set_width
from defects.provenance import read_provenance
from engine.files.atomic import write_bytes
from engine.runtime.device import select_device
from gan.blending.matching import TrainingDefects
from gan.blending.plan import make_blend_plan
from gan.checkpoint import load_generator
from gan.config import GanConfig
from gan.data.attributes import guide_columns
from gan.data.crops import CropSource
from gan.data.dataset import has_defect
from gan.generation.jobs import Request
from gan.generation.plan import Sampler
from gan.networks.registry import WholeImageGenerator

SEED = 5
PER_CLASS = 6
SIDE = 160
"""Of the images of `local-contrast`, px."""
COMPARED = ("cyclegan", "pix2pix", "magna", "blend")


def labeled(strip: NDArray[np.uint8], text: str, size: int) -> NDArray[np.uint8]:
    """A row of images with its name on the left."""
    left = np.full((strip.shape[0], 92, 3), 255, np.uint8)
    for line, part in enumerate(text.split("\n")):
        cv2.putText(left, part, (4, size // 2 + 16 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([left, strip], axis=1)


def row(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate([as_channels(np.atleast_3d(image), 3) for image in images], axis=1)


def real(data: Path, run: Path) -> NDArray[np.uint8]:
    """For every class held-out crops, their masks, and what is generated from these masks and guides."""
    generator = load_generator(run)
    config = GanConfig.model_validate(generator.meta["config"])
    held = set(generator.meta["data"]["test"])
    samples = [s for s in defects.open(data).samples if s.name in held and s.label != "good" and has_defect(s)]
    columns = guide_columns(samples, config.data)
    source = CropSource(samples, columns, size=generator.size, channels=generator.channels, config=config.data)
    sampler = Sampler(cast(WholeImageGenerator, generator.network), select_device("auto"), SEED)
    strips = []
    for label in sorted({s.label for s in samples}):
        own = [i for i, s in enumerate(samples) if s.label == label]
        numbers = [own[int(k)] for k in np.linspace(0, len(own) - 1, min(PER_CLASS, len(own)))]
        crops = [source.cut(i, None) for i in numbers]
        rng = np.random.default_rng(SEED)
        guides = []
        for crop in crops:
            same = [r for r in generator.table if "kind" not in r or r["kind"] == label]
            background = same[int(rng.integers(len(same)))].get("background")
            guides.append(generator.schema.encode(generator.schema.scale({**crop.guide, "background": background})))
        fake = sampler.sample([crop.mask for crop in crops], guides, [(label, i) for i in numbers])
        masks = [crop.mask.astype(np.uint8) * 255 for crop in crops]
        for name, strip in (("real", [crop.image for crop in crops]), ("mask", masks), ("generated", list(fake))):
            images = row(strip)
            full = np.full((generator.size, PER_CLASS * generator.size, 3), 255, np.uint8)
            full[:, : images.shape[1]] = images
            strips.append(labeled(full, f"{label}\n{name}", generator.size))
    return np.concatenate(strips)


def guide(mask_path: Path, run: Path | None) -> NDArray[np.uint8]:
    """Rows: thickness, brightness, every background; the noise is the same in all."""
    generator = load_generator(run)
    size, schema = generator.size, generator.schema
    mask = pad_and_resize(read_mask_image(mask_path)[0], size)
    thickness, background = schema["thickness"], schema["background"]
    if not isinstance(thickness, NumericEntry) or not isinstance(background, CategoricalEntry):
        raise SystemExit("this generator has no thickness or background")
    sampler = Sampler(cast(WholeImageGenerator, generator.network), select_device("auto"), SEED)
    steps = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    base: dict[str, float | str | None] = {"thickness": 0.4, "brightness": 0.8, "background": background.values[0]}
    settings = [("thickness\n0 .. 1", [base | {"thickness": s} for s in steps])]
    settings += [("brightness\n0 .. 1", [base | {"brightness": s} for s in steps])]
    settings += [
        (f"{name}\nthickness", [base | {"background": name, "thickness": s} for s in steps])
        for name in background.values[1:]
    ]
    strips = []
    for name, guides in settings:
        labels = [set_width(mask, thickness.unscale(float(guide["thickness"] or 0.0))) for guide in guides]
        images = sampler.sample(labels, [schema.encode(guide) for guide in guides], [("guide",)] * len(guides))
        strips.append(labeled(row(list(images)), name, size))
    return np.concatenate(strips)


def epochs(run: Path, most: int = 8) -> NDArray[np.uint8]:
    """Row: epoch; columns: the masks of the sample grid with their first noise."""
    files = sorted((run / "samples").glob("epoch-*.png"))
    picked = [files[int(i)] for i in np.unique(np.linspace(0, len(files) - 1, min(most, len(files))).round())]
    size = load_generator(run).size
    first = read_image(picked[0])
    strips = [labeled(row([first[:size]]), "real", size), labeled(row([first[size : 2 * size]]), "mask", size)]
    for file in picked:
        strips.append(labeled(row([read_image(file)[2 * size : 3 * size]]), file.stem.replace("-0", " "), size))
    return np.concatenate(strips)


def compare(data: Path, sets: Path, columns: int = 8) -> NDArray[np.uint8]:
    """Columns: held-out masks, spread over the classes; rows: mask, real, sets of `bench-fid --table paper`."""
    names = [name for name in COMPARED if (sets / name).is_dir()]
    provenance = read_provenance(sets / names[0])
    if provenance is None:
        raise SystemExit(f"{sets / names[0]}: does not describe its generator")
    samples = {s.name.replace("/", "_"): s for s in defects.open(data).samples}
    classes = [sorted(folder.glob("*.png")) for folder in sorted((sets / "masks").iterdir())]
    masks = [files[len(files) * turn // columns] for turn in range(columns) for files in classes if len(files) > turn]
    selected = sorted(masks[:columns])
    crop_spec = provenance.crop_spec
    size = crop_spec.size
    strips = [
        labeled(
            row([pad_and_resize(read_mask_image(m)[0], size).astype(np.uint8) * 255 for m in selected]), "mask", size
        )
    ]
    strips.append(labeled(row([read_crop(samples[m.stem], crop_spec)[0] for m in selected]), "real", size))
    for name in names:
        images = [read_image(sets / name / "images" / m.parent.name / f"{m.stem}-000.png") for m in selected]
        strips.append(labeled(row(images), name, size))
    return np.concatenate(strips)


def local_contrast(data: Path, masks: Path, run: Path, *, inpaint: bool, columns: int = 8) -> NDArray[np.uint8]:
    """Columns: training masks, spread over the classes; rows: real, as generated, with transferred local contrast."""
    plan = make_blend_plan(Request(guide="brightness=random", size=SIDE), masks, data, run, inpaint=inpaint)
    known = plan.locations.known
    plain = replace(plan, locations=replace(plan.locations, known=TrainingDefects(known.rows, known.background_stats)))
    samples = {s.name.replace("/", "_"): s for s in defects.open(data).samples}
    entries = plan.jobs.masks.entries
    labels = sorted({entry.label for entry in entries})
    classes = [[n for n, entry in enumerate(entries) if entry.label == label] for label in labels]
    share = -(-columns // len(classes))
    numbers = [own[(2 * turn + 1) * len(own) // (2 * share)] for own in classes for turn in range(share)][:columns]
    crop_spec = replace(plan.provenance.crop_spec, size=SIDE)
    strips = [[read_crop(samples[Path(entries[n].file).stem], crop_spec)[0] for n in numbers]]
    strips += [[one.generate([one.jobs[n]])[0].pixels for n in numbers] for one in (plain, plan)]
    names = ("real", "as generated", "local contrast")
    return np.concatenate([labeled(row(strip), name, SIDE) for strip, name in zip(strips, names, strict=True)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="what", required=True)
    for name, files in {
        "real": ("data", "run", "png"),
        "epochs": ("run", "png"),
        "compare": ("data", "sets", "png"),
    }.items():
        part = parts.add_parser(name)
        for argument in files:
            part.add_argument(argument, type=Path)
    part = parts.add_parser("guide")
    part.add_argument("mask", type=Path)
    part.add_argument("png", type=Path)
    part.add_argument("run", type=Path, nargs="?")
    part = parts.add_parser("local-contrast")
    for argument in ("data", "masks", "run", "png"):
        part.add_argument(argument, type=Path)
    part.add_argument("--inpaint", action="store_true")
    options = parser.parse_args(arguments)
    if options.what == "real":
        figure = real(options.data, options.run)
    elif options.what == "guide":
        figure = guide(options.mask, options.run)
    elif options.what == "local-contrast":
        figure = local_contrast(options.data, options.masks, options.run, inpaint=options.inpaint)
    elif options.what == "compare":
        figure = compare(options.data, options.sets)
    else:
        figure = epochs(options.run)
    form: Literal["jpg", "png"] = "jpg" if options.png.suffix in (".jpg", ".jpeg") else "png"
    options.png.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(options.png, encode_image(np.ascontiguousarray(figure), form))


if __name__ == "__main__":
    main()
