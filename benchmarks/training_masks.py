"""Writes the masks of the defective photographs that a generator was trained on, for `gen-defects --masks`.

    python benchmarks/training_masks.py RUN DATA OUT [whole]

Squares as the generator sees them, or with `whole` the masks of whole photographs, for `--backgrounds`.

A classifier must not be tested on a photograph whose mask its synthetic images were made from.
"""

from __future__ import annotations

import sys
from pathlib import Path

from defects.formats.dataset import open_dataset
from defects.formats.folders import write_masks
from gan.checkpoint import load_generator


def main(run: Path, data: Path, out: Path, *, whole: bool) -> None:
    """One folder of masks for each kind."""
    provenance = load_generator(run).provenance
    held = set(provenance.test)
    samples = [sample for sample in open_dataset(data).samples if sample.name not in held]
    print(f"{out}: {write_masks(samples, None if whole else provenance.crop_spec, out)} masks")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), whole=sys.argv[4:] == ["whole"])
