"""The images of a prediction or evaluation: one file, a folder of images, or a data set in any layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from augment.mixing.folder import REQUEST
from classify.data.dataset import Mixture, held_out, open_data
from classify.data.examples import Examples, examples_of
from classify.data.leaks import REAL, reject_trained
from classify.models.checkpoint import LoadedClassifier
from defects.formats.dataset import LAYOUTS, Dataset
from defects.formats.listing import EXTENSIONS, Listing, list_images
from defects.images.decode import at_depth
from defects.sample import Sample
from engine.errors import CheckpointError, DataError, IssuesError, UsageError

PLAIN = "plain"


@dataclass(frozen=True)
class Inputs:
    """Images, in the order of their names.

    Attributes:
        root: what their file names are relative to.
        samples: with masks and labels where `known`.
        known: whether the layout has labels; a folder of plain images has none.
    """

    root: Path
    samples: list[Sample]
    known: bool


def open_inputs(path: Path, layout: str = "auto", depth16: str = "refuse") -> Inputs:
    """Lists the images; none is opened.

    Args:
        path: an image or a folder.
        layout: `auto`, `plain`, or as `check-data` knows them; auto takes a folder of no known layout as plain.
        depth16: `refuse` 16-bit images, or `scale` them.

    Raises:
        DataError: there is nothing there, or the folder's structure is invalid.
        UsageError: the layout is unknown.
    """
    if path.is_file():
        if path.suffix.lower() not in EXTENSIONS:
            raise DataError(
                f"{path}: is no image; expected one of {', '.join(sorted(EXTENSIONS))}", code="E-classify-no-images"
            )
        return Inputs(path.parent, at_depth([Sample(name=path.stem, image=path)], depth16), known=False)
    if not path.is_dir():
        raise DataError(
            f"{path}: no such file or folder; give an image or a folder of images", code="E-classify-no-images"
        )
    plain = layout == PLAIN or (layout == "auto" and not _known(path))
    if not plain:
        return Inputs(path, sorted(open_data(path, layout, depth16).samples, key=lambda one: one.name), known=True)
    listing = Listing()
    files = list_images(path, path, listing, deep=True)
    issues = [issue for issue in listing.issues if not issue.warning]
    if issues:
        raise IssuesError(issues)
    if not files:
        raise DataError(
            f"{path}: holds no images; expected files ending in {', '.join(sorted(EXTENSIONS))}",
            code="E-classify-no-images",
        )
    samples = [Sample(name=file.relative_to(path).with_suffix("").as_posix(), image=file) for file in files]
    return Inputs(path, at_depth(samples, depth16), known=False)


def _known(path: Path) -> bool:
    return (path / REQUEST).is_file() or any(layout.fits(path) for layout in LAYOUTS.values())


def examples_for(classifier: LoadedClassifier, dataset: Dataset | Mixture, root: Path, split: str) -> Examples:
    """The examples of `test` or `val` by the checkpoint, or of `all` images of a folder it was not trained on.

    Raises:
        CheckpointError: it does not list its training images.
        DataError: images are missing, were trained on, or are none.
        UsageError: there is no such split.
    """
    if split not in ("test", "val", "all"):
        raise UsageError(f"--split: unknown {split!r}; use test, val or all", code="E-classify-split")
    known = classifier.meta.get("data", {})
    if not all(key in known for key in ("train_sha256", "test", "val")):
        raise CheckpointError(
            f"the checkpoint {classifier.sha256[:16]} does not list its training images; give one of a run folder",
            code="E-classify-checkpoint-data",
        )
    if split != "all":
        return held_out(dataset, classifier.config, classifier.classes, classifier.meta, split)
    samples = [sample for sample in dataset.samples if sample.source in REAL]
    if not samples:
        raise DataError(
            f"{root}: holds no real images; a classifier is evaluated on real images only",
            code="E-classify-no-real-images",
        )
    reject_trained(samples, classifier.meta, what=str(root))
    return examples_of(samples, classifier.config.data, classifier.config.task, classifier.classes, name=split)
