"""Label fidelity of Magna-Blend on training masks: compares weights and backgrounds without held-out images.

    python benchmarks/studies/training_labels.py DATA MASKS SET RUN [RUN ...] --size 128 [--inpaint]

MASKS are those of the training images (`gen-masks --from-run RUN --whole`); SET holds images of one of the generators,
so that the segmenter of `bench-fid --held-out --fake blend=SET` is used. It was trained on these defects: compare the
figures with each other only. Every run is measured as it is, without the settings (sides and places) of its training
defects, and without their local contrasts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from blends import blend_plan, held_out_segmenter, label_ious, study_parser, with_training_defects

from gan.blending.plan import BlendPlan
from metrics.labels.segmenter import Segmenter

MOST = 24
"""Masks of a class."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the mean over classes, and every class's."""
    parser = study_parser(__doc__, "data", "masks", "set")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--size", type=int, required=True)
    options = parser.parse_args(arguments)
    _, segmenter = held_out_segmenter(options.data, options.set)
    for run in options.runs:
        plan = blend_plan(options.masks, options.data, run, size=options.size, inpaint=options.inpaint)
        known = plan.locations.known
        without_settings = [stats._replace(setting=None) for stats in known.background_stats]
        variants = {
            "": plan,
            ", no settings": with_training_defects(plan, known.rows, without_settings, known.local_contrasts),
            ", no local contrast": with_training_defects(plan, known.rows, known.background_stats),
        }
        for name, variant in variants.items():
            ious = class_ious(variant, segmenter)
            classes = "  ".join(f"{label} {value:.3f}" for label, value in ious.items())
            print(f"{run}{name}: {np.mean(list(ious.values())):.3f}   {classes}", flush=True)


def class_ious(plan: BlendPlan, segmenter: Segmenter) -> dict[str, float]:
    """Mean label IoU of one image of each mask, by class."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, entry in enumerate(plan.jobs.masks.entries):
        numbers[entry.label].append(number)
    result = {}
    for label, own in numbers.items():
        images = plan.generate([plan.jobs[number] for number in own[:: max(1, len(own) // MOST)][:MOST]])
        result[label] = float(label_ious(segmenter, images).mean())
    return result


if __name__ == "__main__":
    main()
