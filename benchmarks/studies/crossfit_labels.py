"""Label fidelity of Magna-Blend over all training groups, each scored by a segmenter that was not trained on it.

    python benchmarks/studies/crossfit_labels.py DATA MASKS RUN --size 128 [--inpaint]

A split holds out few groups, of which one decides for its class. Here six images are generated of every training mask
(MASKS are those of `gen-masks --from-run RUN --whole`) and scored by the segmenter of `--match-difficulty` that was
trained neither on the group of the mask nor on that of the background: two of six images on average. It scores the real
defect too. The generator was trained on them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from blends import blend_plan, label_ious, study_parser

from gan.filtering.realism import open_references
from gan.filtering.rule import Rule
from gan.filtering.scorer import train_scorer
from metrics.data.image_set import ImageSet
from metrics.features.cache import user_cache
from metrics.labels.fidelity import mean_of_groups, overlaps

EACH = 6


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints mean IoUs of real and synthetic defects by class, and their difference with its interval by groups."""
    parser = study_parser(__doc__, "data", "masks", "run")
    parser.add_argument("--size", type=int, required=True)
    options = parser.parse_args(arguments)
    plan = blend_plan(options.masks, options.data, options.run, num=EACH, size=options.size, inpaint=options.inpaint)
    rule = Rule(match_difficulty=True, min_realism=0)
    references = open_references(options.data, plan.provenance, rule)
    crop_spec = replace(plan.provenance.crop_spec, size=options.size)
    scorer = train_scorer(references, crop_spec, rule, whole_images=False, folder=user_cache("filter"))
    real = ImageSet("real", references.samples, crop_spec)
    named = {sample.name.replace("/", "_"): i for i, sample in enumerate(references.samples)}
    scores: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for number, entry in enumerate(plan.jobs.masks.entries):
        index = named[Path(entry.file).stem]
        image, mask = real.read(index)
        fold = scorer.unseen[references.hashes[index]]
        segmenter = scorer.segmenters[fold]
        generated = [plan.generate([plan.jobs[EACH * number + i]])[0] for i in range(EACH)]
        usable = [one for one in generated if scorer.unseen.get(one.columns["background"]["sha256"]) == fold]
        if not usable or not mask.any():
            continue
        real_iou = float(overlaps(segmenter.probabilities(image[None]) >= 0.5, mask[None])[0])
        group = references.samples[index].part
        scores[entry.label].append((group, real_iou, float(label_ious(segmenter, usable).mean())))
    scores["all"] = [row for label in sorted(scores) for row in scores[label]]
    for label, rows in scores.items():
        values = np.array([row[1:] for row in rows])
        groups = np.unique([row[0] for row in rows], return_inverse=True)[1]
        interval = mean_of_groups(values[:, 1] - values[:, 0], groups, np.random.default_rng(0))
        means = values.mean(axis=0)
        print(
            f"{label:10} {len(rows):4} masks of {groups.max() + 1:3} groups   real {means[0]:.3f}   "
            f"synthetic {means[1]:.3f}   difference {means[1] - means[0]:+.3f} ({interval.low:+.3f} to "
            f"{interval.high:+.3f})"
        )


if __name__ == "__main__":
    main()
