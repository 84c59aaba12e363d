"""The photographs a classifier is asked about: one file, a folder of plain pictures, or a data set in any layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from augment.mixing.output import REQUEST
from classify.data.dataset import Mixture, held_out, open_data
from classify.data.examples import Examples, examples_of
from classify.data.leaks import REAL, refuse_trained
from classify.models.checkpoint import LoadedClassifier
from defects.formats.dataset import LAYOUTS, Dataset
from defects.formats.listing import EXTENSIONS, Found, list_images
from defects.images.decode import at_depth
from defects.sample import Sample
from engine.errors import CheckpointError, DataError, IssuesError

PLAIN = "plain"


@dataclass(frozen=True)
class Inputs:
    """Photographs, in the order of their names.

    Attributes:
        root: what their file names are relative to.
        samples: with masks and kinds where `known`.
        known: whether the layout says what is in them; plain pictures say nothing.
    """

    root: Path
    samples: list[Sample]
    known: bool


def open_inputs(path: Path, layout: str = "auto", depth16: str = "refuse") -> Inputs:
    """Finds the photographs; none is opened.

    Args:
        path: a picture or a folder.
        layout: `auto`, `plain`, or as `check-data` knows them; auto takes a folder of no known layout as plain.
        depth16: `refuse` 16-bit pictures, or `scale` them.

    Raises:
        DataError: there is nothing there, or the folder's structure is faulty.
        UsageError: the layout is unknown.
    """
    if path.is_file():
        if path.suffix.lower() not in EXTENSIONS:
            raise DataError(f"{path}: is no picture; expected one of {', '.join(sorted(EXTENSIONS))}")
        return Inputs(path.parent, at_depth([Sample(name=path.stem, image=path)], depth16), known=False)
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder; give a picture or a folder of them")
    plain = layout == PLAIN or (layout == "auto" and not _known(path))
    if not plain:
        return Inputs(path, sorted(open_data(path, layout, depth16).samples, key=lambda one: one.name), known=True)
    found = Found()
    files = list_images(path, path, found, deep=True)
    issues = [issue for issue in found.issues if not issue.warning]
    if issues:
        raise IssuesError(issues)
    if not files:
        raise DataError(f"{path}: holds no pictures; expected files ending in {', '.join(sorted(EXTENSIONS))}")
    samples = [Sample(name=file.relative_to(path).with_suffix("").as_posix(), image=file) for file in files]
    return Inputs(path, at_depth(samples, depth16), known=False)


def _known(path: Path) -> bool:
    return (path / REQUEST).is_file() or any(layout.fits(path) for layout in LAYOUTS.values())


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
