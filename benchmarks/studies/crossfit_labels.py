"""Label fidelity of Magna-Blend over all training parts, each judged by a segmenter that has not learnt from it.

    python benchmarks/studies/crossfit_labels.py DATA MASKS RUN SIZE [inpaint]

A split holds out few parts, of which one decides for its kind. Here every training mask (MASKS, see training_masks.py)
is drawn six times, and judged by the segmenter of `--match-difficulty` that has seen neither the part of the mask nor
that of the ground: two of six draws on average. It judges the real defect too. The generator has seen them all.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from gan.blending.plan import make_blend_plan
from gan.filtering.realism import open_references
from gan.filtering.rule import Rule
from gan.filtering.scorer import train_scorer
from gan.generation.jobs import Request
from metrics.data.image_set import ImageSet
from metrics.features.cache import user_cache
from metrics.labels.fidelity import mean_of_groups, overlaps

EACH = 6


def main(data: Path, masks: Path, run: Path, size: int, *, inpaint: bool) -> None:
    """Prints the mean IoU of real and of drawn defects, by kind, and their difference with its interval by parts."""
    wanted = Request(guide="brightness=random", num=EACH, size=size)
    plan = make_blend_plan(wanted, masks, data, run, inpaint=inpaint)
    rule = Rule(match_difficulty=True, min_realism=0)
    references = open_references(data, plan.provenance, rule)
    crop_spec = replace(plan.provenance.crop_spec, size=size)
    judge = train_scorer(references, crop_spec, rule, whole_images=False, folder=user_cache("filter"))
    real = ImageSet("real", references.samples, crop_spec)
    named = {sample.name.replace("/", "_"): i for i, sample in enumerate(references.samples)}
    found: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for number, entry in enumerate(plan.jobs.masks.entries):
        index = named[Path(entry.file).stem]
        image, label = real.read(index)
        fold = judge.unseen[references.hashes[index]]
        finder = judge.segmenters[fold]
        drawn = [plan.generate([plan.jobs[EACH * number + i]])[0] for i in range(EACH)]
        own = [one for one in drawn if judge.unseen.get(one.columns["background"]["sha256"]) == fold]
        if not own or not label.any():
            continue
        images, labels = np.stack([image, *(one.pixels for one in own)]), np.stack([label, *(one.mask for one in own)])
        values = overlaps(finder.probabilities(images) >= 0.5, labels)
        found[entry.label].append((references.samples[index].part, float(values[0]), float(values[1:].mean())))
    found["all"] = [row for kind in sorted(found) for row in found[kind]]
    for kind, rows in found.items():
        values = np.array([row[1:] for row in rows])
        parts = np.unique([row[0] for row in rows], return_inverse=True)[1]
        off = mean_of_groups(values[:, 1] - values[:, 0], parts, np.random.default_rng(0))
        means = values.mean(axis=0)
        print(
            f"{kind:10} {len(rows):4} masks of {parts.max() + 1:3} parts   real {means[0]:.3f}   drawn {means[1]:.3f}"
            f"   difference {means[1] - means[0]:+.3f} ({off.low:+.3f} to {off.high:+.3f})"
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), int(sys.argv[4]), inpaint=sys.argv[5:] == ["inpaint"])
