"""How much the light varies within drawn defects, beside the real ones whose masks they have.

    python benchmarks/studies/local_contrast.py DATA MASKS RUN [inpaint]

MASKS of training photographs (training_masks.py). For each kind the median of drawn over real, fine to coarse, as the
network draws, and brought to the relief of training defects.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from defects.attributes.local_contrast import SIGMAS, LocalContrast, local_contrast
from defects.formats.dataset import open_dataset
from defects.images.crops import scaled
from defects.images.decode import read_sample
from defects.masks.width import Mask
from gan.blending.matching import TrainingDefects
from gan.blending.plan import make_blend_plan
from gan.generation.jobs import Request


def main(data: Path, masks: Path, run: Path, *, inpaint: bool) -> None:
    """Prints a line for each kind and way of drawing."""
    plan = make_blend_plan(Request(guide="brightness=random"), masks, data, run, inpaint=inpaint)
    samples = {sample.name.replace("/", "_"): sample for sample in open_dataset(data).samples}
    crop_spec, seen = plan.provenance.crop_spec, plan.locations.known
    plain = replace(plan, locations=replace(plan.locations, known=TrainingDefects(seen.rows, seen.background_stats)))

    def shown(image: cv2.typing.MatLike, mask: Mask) -> LocalContrast:
        return local_contrast(*scaled(np.asarray(image, np.uint8), mask, crop_spec))

    entries = plan.jobs.masks.entries
    real = [shown(*read_sample(samples[Path(entry.file).stem])) for entry in entries]
    print(f"bands finer than {', '.join(f'{reach:g}' for reach in SIGMAS)} px")
    for name, one in (("as drawn", plain), ("brought to it", plan)):
        ratios: dict[str, list[np.ndarray]] = defaultdict(list)
        for number, entry in enumerate(entries):
            drawn = one.generate([one.jobs[number]])[0]
            there = shown(drawn.pixels, drawn.mask)
            ratios[entry.label].append(np.log(np.maximum(there, 1e-4)) - np.log(np.maximum(real[number], 1e-4)))
        for kind, values in ratios.items():
            print(f"{name:13} {kind:10} {len(values):4}  {np.round(np.exp(np.median(values, axis=0)), 2)}", flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), inpaint=sys.argv[4:] == ["inpaint"])
