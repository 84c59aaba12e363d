"""Label fidelity of Magna-Blend where every held-out mask has the contrast of its own photograph.

    python benchmarks/studies/own_brightness.py DATA SET RUN [inpaint]

SET holds images of RUN, so that the segmenter of `bench-fid --held-out --fake blend=SET` is taken. With a brightness as
in the training images, a kind whose training parts are pale is drawn pale and not found; here that reason is taken
away, and what is left is how well the defects are drawn.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from defects.attributes.background import background_around
from defects.attributes.guide import measure, ring_radius
from defects.formats.folders import write_masks
from gan.blending.matching import TrainingDefects
from gan.blending.plan import BlendPlan, make_blend_plan
from gan.generation.jobs import Request as Wanted
from metrics.bench.comparison import Request, open_comparison
from metrics.bench.evaluation import not_drawn_into
from metrics.features.cache import user_cache
from metrics.labels.fidelity import overlaps
from metrics.labels.segmenter import load_or_train

EACH = 2


def main(data: Path, fakes: Path, run: Path, *, inpaint: bool) -> None:
    """Prints the mean IoU of real images and of drawn ones, by kind."""
    comparison = open_comparison(Request(data, (("blend", fakes),), held_out=True))
    segmenter = load_or_train(not_drawn_into(comparison), user_cache("segmenters"))
    held = comparison.held
    shown = {sample.name.replace("/", "_"): held.read(i) for i, sample in enumerate(held.samples)}
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with TemporaryDirectory() as folder:
        masks = Path(folder)
        write_masks(held.samples, None, masks)
        wanted = Wanted(guide="brightness=random", num=EACH, size=comparison.crop_spec.size)
        plan = make_blend_plan(wanted, masks, data, run, inpaint=inpaint)
        for number, entry in enumerate(plan.jobs.masks.entries):
            image, mask = shown[Path(entry.file).stem]
            real = overlaps(segmenter.probabilities(image[None]) >= 0.5, mask[None])[0]
            own = as_in(plan, entry.label, image, mask)
            drawn = own.generate([plan.jobs[EACH * number + i] for i in range(EACH)])
            found = segmenter.probabilities(np.stack([one.pixels for one in drawn])) >= 0.5
            scores[entry.label].append((real, float(overlaps(found, np.stack([one.mask for one in drawn])).mean())))
    scores["all"] = [pair for kind in sorted(scores) for pair in scores[kind]]
    for kind, pairs in scores.items():
        print(f"{kind:10} {len(pairs):4} masks   real {np.mean(pairs, 0)[0]:.3f}   drawn {np.mean(pairs, 0)[1]:.3f}")


def as_in(plan: BlendPlan, kind: str, image: np.ndarray, mask: np.ndarray) -> BlendPlan:
    """The plan with one known defect: that of a photograph, to which every drawn brightness is brought."""
    # The setting would be that of a window, not of a photograph.
    ground = background_around(image, mask, ring_radius(mask.shape[0]))._replace(setting=None)
    row = {**measure(image, mask), "kind": kind}
    return replace(plan, locations=replace(plan.locations, known=TrainingDefects([row], [ground])))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), inpaint=sys.argv[4:] == ["inpaint"])
