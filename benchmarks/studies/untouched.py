"""Counts the pixels that Magna-Blend changed beyond its reach; there must be none.

    python benchmarks/studies/untouched.py FAKES BACKGROUNDS RUN [inpaint]

FAKES is a folder of `gen-defects --backgrounds BACKGROUNDS --checkpoint RUN` without `--size`, so that every image
has its photograph's own resolution.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from defects.images.decode import read_sample
from defects.manifest import read_manifest
from gan.blending.backgrounds import list_backgrounds
from gan.blending.compositing import working_scale
from gan.blending.plan import check_blends
from gan.checkpoint import load_generator
from gan.data.blend_pairs import signed_distance


def main(fakes: Path, backgrounds: Path, run: Path, *, inpaint: bool) -> None:
    """Prints how many pixels were compared, changed within reach, and changed beyond it."""
    generator = load_generator(run)
    size, window, reach = generator.size, generator.provenance.crop, check_blends(generator).config.blend_radius
    background_stats = list_backgrounds(
        backgrounds, scale=lambda shape: working_scale(shape, size, window), blend_radius=reach, inpaint=inpaint
    )
    place = {ground.name: number for number, ground in enumerate(background_stats)}
    compared = within = beyond = images = 0
    for sample in read_manifest(fakes)[0]:
        drawn, mask = read_sample(sample)
        ground = background_stats.read(place[sample.metadata["background"]["name"]])[0]
        far = signed_distance(mask, working_scale(mask.shape, size, window)) < -reach
        other = np.any(drawn != ground, axis=2)
        images, compared = images + 1, compared + int(far.sum())
        within, beyond = within + int((other & ~far).sum()), beyond + int((other & far).sum())
    print(f"{images} images: {compared} pixels beyond reach, {beyond} of them changed; {within} changed within reach")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), inpaint=sys.argv[4:] == ["inpaint"])
