"""The pictures of the documentation.

python benchmarks/figures/generated.py real DATA RUN PNG       held-out real images, and images drawn from their masks
python benchmarks/figures/generated.py guide MASK PNG [RUN]    one mask, noise fixed, many guide settings
python benchmarks/figures/generated.py epochs RUN PNG          the same masks and noise over the epochs of a run
python benchmarks/figures/generated.py compare DATA SETS PNG   held-out masks: the real image, and what every generator draws
python benchmarks/figures/generated.py relief DATA MASKS RUN PNG [inpaint]   training masks: real, as drawn, with real relief
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.attributes.guide import CategoricalEntry, NumericEntry
from defects.formats.dataset import open_dataset
from defects.images.crops import as_channels, read_crop
from defects.images.decode import encode_image, read_image, read_mask_image
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
PER_KIND = 6
SQUARE = 160
"""Side of the pictures of a relief, px."""
COMPARED = ("cyclegan", "pix2pix", "magna", "blend")


def labelled(strip: NDArray[np.uint8], text: str, size: int) -> NDArray[np.uint8]:
    """A row of pictures with its name on the left."""
    left = np.full((strip.shape[0], 92, 3), 255, np.uint8)
    for line, part in enumerate(text.split("\n")):
        cv2.putText(left, part, (4, size // 2 + 16 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([left, strip], axis=1)


def row(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate([as_channels(np.atleast_3d(image), 3) for image in images], axis=1)


def real(data: Path, run: Path) -> NDArray[np.uint8]:
    """For every kind held-out windows, their masks, and what the generator draws from these masks and guides."""
    generator = load_generator(run)
    config = GanConfig.model_validate(generator.meta["config"])
    held = set(generator.meta["data"]["test"])
    samples = [s for s in open_dataset(data).samples if s.name in held and s.label != "good" and has_defect(s)]
    columns = guide_columns(samples, config.data)
    source = CropSource(samples, columns, size=generator.size, channels=generator.channels, config=config.data)
    painter = Sampler(cast(WholeImageGenerator, generator.network), select_device("auto"), SEED)
    strips = []
    for kind in sorted({s.label for s in samples}):
        own = [i for i, s in enumerate(samples) if s.label == kind]
        chosen = [own[int(k)] for k in np.linspace(0, len(own) - 1, min(PER_KIND, len(own)))]
        windows = [source.cut(i, None) for i in chosen]
        rng = np.random.default_rng(SEED)
        guides = []
        for window in windows:
            same = [r for r in generator.table if "kind" not in r or r["kind"] == kind]
            ground = same[int(rng.integers(len(same)))].get("background")
            guides.append(generator.schema.encode(generator.schema.scale({**window.guide, "background": ground})))
        drawn = painter.sample([w.mask for w in windows], guides, [(kind, i) for i in chosen])
        masks = [w.mask.astype(np.uint8) * 255 for w in windows]
        for name, strip in (("real", [w.image for w in windows]), ("mask", masks), ("generated", list(drawn))):
            shown = row(strip)
            full = np.full((generator.size, PER_KIND * generator.size, 3), 255, np.uint8)
            full[:, : shown.shape[1]] = shown
            strips.append(labelled(full, f"{kind}\n{name}", generator.size))
    return np.concatenate(strips)


def guide(mask_path: Path, run: Path | None) -> NDArray[np.uint8]:
    """Rows: thickness, brightness, every background; the noise is the same in all."""
    generator = load_generator(run)
    size, schema = generator.size, generator.schema
    mask = pad_and_resize(read_mask_image(mask_path)[0], size)
    thickness, bright = schema["thickness"], schema["brightness"]
    ground = schema["background"]
    if not isinstance(thickness, NumericEntry) or not isinstance(ground, CategoricalEntry):
        raise SystemExit("this generator has no thickness or background")
    painter = Sampler(cast(WholeImageGenerator, generator.network), select_device("auto"), SEED)
    steps = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    base = {"thickness": 0.4, "brightness": 0.8, "background": ground.values[0]}
    settings = [("thickness\n0 .. 1", [base | {"thickness": s} for s in steps])]
    settings += [("brightness\n0 .. 1", [base | {"brightness": s} for s in steps])]
    settings += [
        (f"{name}\nthickness", [base | {"background": name, "thickness": s} for s in steps])
        for name in ground.values[1:]
    ]
    strips = []
    for name, cells in settings:
        labels = [set_width(mask, thickness.unscale(float(c["thickness"]))) for c in cells]
        images = painter.sample(labels, [schema.encode(c) for c in cells], [("guide",)] * len(cells))
        strips.append(labelled(row(list(images)), name, size))
    del bright
    return np.concatenate(strips)


def epochs(run: Path, most: int = 8) -> NDArray[np.uint8]:
    """Row: epoch; columns: the masks of the sample grid, first draw of the noise."""
    files = sorted((run / "samples").glob("epoch-*.png"))
    picked = [files[int(i)] for i in np.unique(np.linspace(0, len(files) - 1, min(most, len(files))).round())]
    size = load_generator(run).size
    first = read_image(picked[0])
    strips = [labelled(row([first[:size]]), "real", size), labelled(row([first[size : 2 * size]]), "mask", size)]
    for file in picked:
        strips.append(labelled(row([read_image(file)[2 * size : 3 * size]]), file.stem.replace("-0", " "), size))
    return np.concatenate(strips)


def compare(data: Path, sets: Path, columns: int = 8) -> NDArray[np.uint8]:
    """Columns: held-out masks, spread over the kinds; rows: mask, real image, the sets of `bench-fid --table paper`."""
    names = [name for name in COMPARED if (sets / name).is_dir()]
    provenance = read_provenance(sets / names[0])
    if provenance is None:
        raise SystemExit(f"{sets / names[0]}: says nothing of its generator")
    samples = {s.name.replace("/", "_"): s for s in open_dataset(data).samples}
    kinds = [sorted(folder.glob("*.png")) for folder in sorted((sets / "masks").iterdir())]
    masks = [files[len(files) * turn // columns] for turn in range(columns) for files in kinds if len(files) > turn]
    chosen = sorted(masks[:columns])
    crop_spec = provenance.crop_spec
    size = crop_spec.size
    strips = [
        labelled(
            row([pad_and_resize(read_mask_image(m)[0], size).astype(np.uint8) * 255 for m in chosen]), "mask", size
        )
    ]
    strips.append(labelled(row([read_crop(samples[m.stem], crop_spec)[0] for m in chosen]), "real", size))
    for name in names:
        drawn = [read_image(sets / name / "images" / m.parent.name / f"{m.stem}-000.png") for m in chosen]
        strips.append(labelled(row(drawn), name, size))
    return np.concatenate(strips)


def local_contrast(data: Path, masks: Path, run: Path, *, inpaint: bool, columns: int = 8) -> NDArray[np.uint8]:
    """Columns: training masks, spread over the kinds; rows: real, as the network draws, with a relief as real ones."""
    plan = make_blend_plan(Request(guide="brightness=random", size=SQUARE), masks, data, run, inpaint=inpaint)
    seen = plan.locations.known
    plain = replace(plan, locations=replace(plan.locations, known=TrainingDefects(seen.rows, seen.background_stats)))
    samples = {s.name.replace("/", "_"): s for s in open_dataset(data).samples}
    entries = plan.jobs.masks.entries
    kinds = [
        [n for n, entry in enumerate(entries) if entry.label == kind] for kind in sorted({e.label for e in entries})
    ]
    share = -(-columns // len(kinds))
    chosen = [own[(2 * turn + 1) * len(own) // (2 * share)] for own in kinds for turn in range(share)][:columns]
    crop_spec = replace(plan.provenance.crop_spec, size=SQUARE)
    strips = [[read_crop(samples[Path(entries[n].file).stem], crop_spec)[0] for n in chosen]]
    strips += [[one.generate([one.jobs[n]])[0].pixels for n in chosen] for one in (plain, plan)]
    names = ("real", "as drawn", "with relief")
    return np.concatenate([labelled(row(strip), name, SQUARE) for strip, name in zip(strips, names, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(dest="what", required=True)
    for name, arguments in {
        "real": ("data", "run", "png"),
        "epochs": ("run", "png"),
        "compare": ("data", "sets", "png"),
    }.items():
        part = parts.add_parser(name)
        for argument in arguments:
            part.add_argument(argument, type=Path)
    part = parts.add_parser("guide")
    part.add_argument("mask", type=Path)
    part.add_argument("png", type=Path)
    part.add_argument("run", type=Path, nargs="?")
    part = parts.add_parser("relief")
    for argument in ("data", "masks", "run", "png"):
        part.add_argument(argument, type=Path)
    part.add_argument("inpaint", nargs="?")
    options = parser.parse_args()
    if options.what == "real":
        picture = real(options.data, options.run)
    elif options.what == "guide":
        picture = guide(options.mask, options.run)
    elif options.what == "relief":
        picture = local_contrast(options.data, options.masks, options.run, inpaint=options.inpaint == "inpaint")
    elif options.what == "compare":
        picture = compare(options.data, options.sets)
    else:
        picture = epochs(options.run)
    form = "jpg" if options.png.suffix in (".jpg", ".jpeg") else "png"
    options.png.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(options.png, encode_image(np.ascontiguousarray(picture), form))


if __name__ == "__main__":
    main()
