"""What the studies of Magna-Blend share: their arguments, plans, training defects, and the segmenter of `bench-fid`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import defects
from defects.attributes.appearance import BackgroundStats, LocalContrast
from gan.blending.matching import Row, TrainingDefects
from gan.blending.plan import BlendPlan, make_blend_plan
from gan.filtering.scorer import LabelSegmenter
from gan.generation.jobs import Request
from gan.generation.plan import GeneratedImage
from metrics.bench.comparison import Comparison, open_comparison
from metrics.bench.comparison import Request as ComparisonRequest
from metrics.bench.evaluation import without_backgrounds
from metrics.features.cache import user_cache
from metrics.labels.fidelity import overlaps
from metrics.labels.segmenter import Segmenter, load_or_train


def study_parser(description: str | None, *folders: str) -> argparse.ArgumentParser:
    """A parser with the module's docstring as help, positional folders, and `--inpaint`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for folder in folders:
        parser.add_argument(folder, type=Path)
    parser.add_argument("--inpaint", action="store_true", help="take defective backgrounds too, defects inpainted")
    return parser


def blend_plan(
    masks: Path, data: Path, run: Path, *, num: int = 1, size: int | None = None, inpaint: bool = False
) -> BlendPlan:
    """The plan of `gen-defects --guide brightness=random --backgrounds DATA`."""
    return make_blend_plan(Request(guide="brightness=random", num=num, size=size), masks, data, run, inpaint=inpaint)


def with_training_defects(
    plan: BlendPlan,
    rows: Sequence[Row],
    background_stats: Sequence[BackgroundStats],
    local_contrasts: Sequence[LocalContrast] = (),
) -> BlendPlan:
    """The plan with other training defects than those of its checkpoint."""
    known = TrainingDefects(rows, background_stats, local_contrasts)
    return replace(plan, locations=replace(plan.locations, known=known))


def samples_by_stem(data: Path) -> dict[str, defects.Sample]:
    """The samples of a folder by the stem that `gen-masks --from-run` gives to their masks."""
    return {sample.name.replace("/", "_"): sample for sample in defects.open(data).samples}


def held_out_segmenter(data: Path, synthetic: Path) -> tuple[Comparison, Segmenter]:
    """The comparison and the segmenter of `bench-fid --held-out --fake blend=SET`."""
    comparison = open_comparison(ComparisonRequest(data, (("blend", synthetic),), held_out=True))
    return comparison, load_or_train(without_backgrounds(comparison), user_cache("segmenters"))


def label_ious(segmenter: LabelSegmenter, images: Sequence[GeneratedImage]) -> NDArray[np.float64]:
    """(N,) overlap of each label with what the segmenter finds in its image."""
    predicted = segmenter.probabilities(np.stack([image.pixels for image in images])) >= 0.5
    return overlaps(predicted, np.stack([image.mask for image in images]))
