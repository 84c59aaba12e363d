"""Writes the masks of the defective photographs that a generator was trained on, for `gen-defects --masks`.

    python benchmarks/training_masks.py RUN DATA OUT

A classifier must not be tested on a photograph whose mask its synthetic images were made from.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from defects.images import encode_image
from defects.layouts.dataset import open_dataset
from defects.sample import GOOD
from defects.windows import read_window
from engine.files import write_bytes
from gan.bundle import load_generator


def main(run: Path, data: Path, out: Path) -> None:
    """One folder of masks for each kind, at the generator's size."""
    provenance = load_generator(run).provenance
    held = set(provenance.test)
    count = 0
    for sample in open_dataset(data).samples:
        if sample.label == GOOD or sample.name in held:
            continue
        mask = read_window(sample, provenance.framing)[1]
        if mask.any():
            place = out / sample.label / f"{sample.name.replace('/', '_')}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(place, encode_image(mask[..., None].astype(np.uint8) * 255, "png"))
            count += 1
    print(f"{out}: {count} masks")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
