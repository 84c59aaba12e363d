"""What a segmenter trained on real images says: whether labels are true, whether the guide is obeyed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metrics.comparison import Comparison
from metrics.control import control
from metrics.evidence import Evidence, ProgressOf, like, union
from metrics.label_fidelity import label_fidelity
from metrics.segmenter import SegmenterSettings, load_or_train

__all__ = ["judge_control", "judge_labels"]


def judge_labels(
    comparison: Comparison, evidence: Evidence, progress: ProgressOf, *, folder: Path | None, threads: int | None
) -> None:
    """What a segmenter of real defects finds in unseen real and in synthetic images.

    Args:
        comparison: The sets.
        evidence: Filled with what is found.
        progress: Shows the steps.
        folder: Where trained segmenters are kept; None keeps nothing.
        threads: Of PyTorch.
    """
    train, held, seed = comparison.train, comparison.held, comparison.request.seed
    try:
        with progress(SegmenterSettings().steps, "segmenter of real defects", "step") as shown:
            segmenter = load_or_train(train, folder, seed=seed, threads=threads, on_progress=shown.update)
    except ValueError as error:
        evidence.lack("labels", f"no segmenter could be trained on {len(train)} real images: {error}")
        return
    evidence.segmenter = segmenter
    evidence.held_predicted = segmenter.predict(held)
    bounds = None
    if len(held):
        evidence.held_labels = label_fidelity(segmenter, held, seed=seed, predicted=evidence.held_predicted)
        bounds = evidence.held_labels.size_bounds
    else:
        evidence.lack("labels of unseen real images", "no real image is left that was not learnt from")
    with progress(sum(len(source.images) for source in comparison.sources), "labels", "image") as shown:
        for source in comparison.sources:
            own = evidence.sources[source.name]
            own.predicted = segmenter.predict(source.images)
            own.labels = label_fidelity(
                segmenter, source.images, seed=seed, size_bounds=bounds, predicted=own.predicted
            )
            shown.update(len(source.images))


def judge_control(comparison: Comparison, evidence: Evidence) -> None:
    """Requested guide values against measured ones."""
    held, side = comparison.held, comparison.framing.size
    real = union([held, like(comparison.train, good=comparison.request.good)])
    found = evidence.held_predicted
    if found is not None:
        # What measuring a width costs is told on unseen images only: on those learnt from, nothing counts as found.
        found = np.concatenate([found, np.zeros((len(real) - len(held), side, side), dtype=bool)])
    for source in comparison.sources:
        own = evidence.sources[source.name]
        if source.schema is None:
            evidence.lack("control", "no generator.json says what the guide values mean", source.name)
            continue
        own.control = control(
            source.images,
            source.schema,
            real=real,
            segmenter=evidence.segmenter,
            features=evidence.bank.of(source.images),
            real_features=evidence.bank.of(real),
            predicted=own.predicted,
            real_predicted=found,
            seed=comparison.request.seed,
        )
