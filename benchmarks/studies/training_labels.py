"""Label fidelity of Magna-Blend on training masks, by which weights and grounds are compared without held-out ones.

    python benchmarks/studies/training_labels.py DATA MASKS SET SIZE RUN [RUN ...] [inpaint]

MASKS of training photographs (training_masks.py); SET holds images of one of the generators, so that the segmenter of
`bench-fid --held-out --fake blend=SET` is taken. It knows the defects: figures are to be compared with each other only.
Every run is measured as it is, without the sides and places of its training defects, and without their reliefs.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from gan.blending.matching import TrainingDefects
from gan.blending.plan import BlendPlan, make_blend_plan
from gan.generation.jobs import Request as Wanted
from metrics.bench.comparison import Request, open_comparison
from metrics.bench.evaluation import not_drawn_into
from metrics.features.cache import user_cache
from metrics.labels.fidelity import overlaps
from metrics.labels.segmenter import Segmenter, load_or_train

MOST = 24
"""Masks of a kind."""


def main(data: Path, masks: Path, fakes: Path, size: int, runs: list[Path], *, inpaint: bool) -> None:
    """Prints the mean over kinds, and every kind's."""
    comparison = open_comparison(Request(data, (("blend", fakes),), held_out=True))
    segmenter = load_or_train(not_drawn_into(comparison), user_cache("segmenters"))
    for run in runs:
        plan = make_blend_plan(Wanted(guide="brightness=random", size=size), masks, data, run, inpaint=inpaint)
        seen = plan.locations.known
        blind = TrainingDefects(
            seen.rows, [ground._replace(setting=None) for ground in seen.background_stats], seen.local_contrasts
        )
        smooth = TrainingDefects(seen.rows, seen.background_stats)
        for name, own in (("", seen), (", no sides", blind), (", no relief", smooth)):
            one = replace(plan, locations=replace(plan.locations, known=own))
            found = label_iou(one, segmenter)
            kinds = "  ".join(f"{kind} {value:.3f}" for kind, value in found.items())
            print(f"{run}{name}: {np.mean(list(found.values())):.3f}   {kinds}", flush=True)


def label_iou(plan: BlendPlan, segmenter: Segmenter) -> dict[str, float]:
    """Of one draw of each mask, by kind."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, entry in enumerate(plan.jobs.masks.entries):
        numbers[entry.label].append(number)
    found = {}
    for kind, own in numbers.items():
        drawn = plan.generate([plan.jobs[number] for number in own[:: max(1, len(own) // MOST)][:MOST]])
        marked = segmenter.probabilities(np.stack([one.pixels for one in drawn])) >= 0.5
        found[kind] = float(overlaps(marked, np.stack([one.mask for one in drawn])).mean())
    return found


if __name__ == "__main__":
    *words, last = sys.argv[1:]
    words += [] if last == "inpaint" else [last]
    main(*map(Path, words[:3]), int(words[3]), list(map(Path, words[4:])), inpaint=last == "inpaint")
