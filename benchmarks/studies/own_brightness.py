"""Label fidelity of Magna-Blend where every held-out mask has the contrast of the real defect in its own image.

    python benchmarks/studies/own_brightness.py DATA SET RUN [--inpaint]

SET holds images of RUN, so that the segmenter of `bench-fid --held-out --fake blend=SET` is used. With a brightness as
in the training images, a class whose training defects are pale becomes pale and is not found. This study removes that
reason; what remains is how well the network generates defects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from blends import blend_plan, held_out_segmenter, label_ious, study_parser, with_training_defects
from numpy.typing import NDArray

import defects
from defects.attributes.appearance import background_around, ring_radius
from defects.formats.folders import write_masks
from gan.blending.plan import BlendPlan
from metrics.labels.fidelity import overlaps

EACH = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the mean IoU of real and of synthetic images, by class."""
    options = study_parser(__doc__, "data", "set", "run").parse_args(arguments)
    comparison, segmenter = held_out_segmenter(options.data, options.set)
    held = comparison.held
    images = {sample.name.replace("/", "_"): held.read(i) for i, sample in enumerate(held.samples)}
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with TemporaryDirectory() as folder:
        masks = Path(folder)
        write_masks(held.samples, None, masks)
        size = comparison.crop_spec.size
        plan = blend_plan(masks, options.data, options.run, num=EACH, size=size, inpaint=options.inpaint)
        for number, entry in enumerate(plan.jobs.masks.entries):
            image, mask = images[Path(entry.file).stem]
            real = float(overlaps(segmenter.probabilities(image[None]) >= 0.5, mask[None])[0])
            own = with_contrast_of(plan, entry.label, image, mask)
            generated = own.generate([plan.jobs[EACH * number + i] for i in range(EACH)])
            scores[entry.label].append((real, float(label_ious(segmenter, generated).mean())))
    scores["all"] = [pair for label in sorted(scores) for pair in scores[label]]
    for label, pairs in scores.items():
        real, synthetic = np.mean(pairs, axis=0)
        print(f"{label:10} {len(pairs):4} masks   real {real:.3f}   synthetic {synthetic:.3f}")


def with_contrast_of(plan: BlendPlan, label: str, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> BlendPlan:
    """The plan with one training defect: that of an image, whose brightness is transferred to every generated one."""
    # The setting would be that of a crop, not of an image.
    stats = background_around(image, mask, ring_radius(mask.shape[0]))._replace(setting=None)
    return with_training_defects(plan, [{**defects.measure(image, mask), "kind": label}], [stats])


if __name__ == "__main__":
    main()
