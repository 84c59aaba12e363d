"""Counts the pixels that Magna-Blend changed beyond its blend radius; there must be none.

    python benchmarks/studies/untouched.py SET BACKGROUNDS RUN [--inpaint]

SET is a folder of `gen-defects --backgrounds BACKGROUNDS --checkpoint RUN` without `--size`, so that every image has
the resolution of its background.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from blends import study_parser

import defects
from defects.manifest import read_manifest
from defects.masks.width import signed_distance
from gan.blending.backgrounds import list_backgrounds
from gan.blending.compositing import working_scale
from gan.blending.plan import check_blends
from gan.checkpoint import load_generator


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints how many pixels were compared, changed within the blend radius, and changed beyond it."""
    options = study_parser(__doc__, "set", "backgrounds", "run").parse_args(arguments)
    generator = load_generator(options.run)
    size, crop, radius = generator.size, generator.provenance.crop, check_blends(generator).config.blend_radius
    backgrounds = list_backgrounds(
        options.backgrounds,
        scale=lambda shape: working_scale(shape, size, crop),
        blend_radius=radius,
        inpaint=options.inpaint,
    )
    numbers = {background.name: number for number, background in enumerate(backgrounds)}
    compared = within = beyond = images = 0
    for sample in read_manifest(options.set)[0]:
        image, mask = defects.read_sample(sample)
        background = backgrounds.read(numbers[sample.metadata["background"]["name"]])[0]
        far = signed_distance(mask, working_scale(mask.shape, size, crop)) < -radius
        changed = np.any(image != background, axis=2)
        images, compared = images + 1, compared + int(far.sum())
        within, beyond = within + int((changed & ~far).sum()), beyond + int((changed & far).sum())
    print(
        f"{images} images: {compared} pixels beyond the blend radius, {beyond} of them changed; "
        f"{within} changed within it"
    )


if __name__ == "__main__":
    main()
