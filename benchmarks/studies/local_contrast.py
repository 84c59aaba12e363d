"""How much the luminance varies within synthetic defects, next to the real ones that have the same masks.

    python benchmarks/studies/local_contrast.py DATA MASKS RUN [--inpaint]

MASKS are those of the training images (`gen-masks --from-run RUN --whole`). For each class it prints the median of
synthetic over real, fine to coarse: as the network generates, and with the local contrast of training defects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from blends import blend_plan, samples_by_stem, study_parser, with_training_defects
from numpy.typing import NDArray

import defects
from defects.attributes.appearance import SIGMAS, LocalContrast, local_contrast
from defects.images.crops import scaled
from defects.masks.width import Mask


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line for each class, without and with the local contrast of training defects."""
    options = study_parser(__doc__, "data", "masks", "run").parse_args(arguments)
    plan = blend_plan(options.masks, options.data, options.run, inpaint=options.inpaint)
    samples = samples_by_stem(options.data)
    crop_spec, known = plan.provenance.crop_spec, plan.locations.known
    plain = with_training_defects(plan, known.rows, known.background_stats)

    def measured(image: NDArray[np.uint8], mask: Mask) -> LocalContrast:
        return local_contrast(*scaled(image, mask, crop_spec))

    entries = plan.jobs.masks.entries
    real = [measured(*defects.read_sample(samples[Path(entry.file).stem])) for entry in entries]
    print(f"bands finer than {', '.join(f'{sigma:g}' for sigma in SIGMAS)} px")
    for name, one in (("as generated", plain), ("transferred", plan)):
        ratios: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        for number, entry in enumerate(entries):
            image = one.generate([one.jobs[number]])[0]
            bands = measured(image.pixels, image.mask)
            ratios[entry.label].append(np.log(np.maximum(bands, 1e-4)) - np.log(np.maximum(real[number], 1e-4)))
        for label, values in ratios.items():
            print(f"{name:13} {label:10} {len(values):4}  {np.round(np.exp(np.median(values, axis=0)), 2)}", flush=True)


if __name__ == "__main__":
    main()
