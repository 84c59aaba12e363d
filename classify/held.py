"""Which photographs a classifier may be measured on: those its checkpoint names as held out, or a new folder."""

from __future__ import annotations

from pathlib import Path

from classify.bundle import LoadedClassifier
from classify.data import Mixture, held_out
from classify.examples import Examples, examples_of
from classify.leaks import REAL, refuse_trained
from defects.layouts.dataset import Dataset
from engine.errors import CheckpointError, DataError

__all__ = ["examples_for"]


def examples_for(classifier: LoadedClassifier, dataset: Dataset | Mixture, root: Path, part: str) -> Examples:
    """The examples of `test` or `val` by the checkpoint, or of `all` photographs of a folder it has not seen.

    Raises:
        CheckpointError: it does not say what was held out.
        DataError: images are missing, were trained on, or are none.
    """
    known = classifier.meta.get("data", {})
    if not all(key in known for key in ("train_sha256", "test", "val")):
        raise CheckpointError(
            f"the checkpoint {classifier.sha256[:16]} does not say what it was trained on; give one of a run folder"
        )
    if part != "all":
        return held_out(dataset, classifier.config, classifier.classes, classifier.meta, part)
    samples = [sample for sample in dataset.samples if sample.source in REAL]
    if not samples:
        raise DataError(f"{root}: holds no photographs; a classifier is measured on photographs only")
    refuse_trained(samples, classifier.meta, what=str(root))
    return examples_of(samples, classifier.config.data, classifier.config.task, classifier.classes, name=part)
