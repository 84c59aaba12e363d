"""The photographs a classifier is asked about: one file, a folder of plain pictures, or a data set in any layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from augment.mixer.folder import REQUEST
from classify.data import open_data
from defects.depth import at_depth
from defects.layouts.dataset import LAYOUTS
from defects.layouts.listing import EXTENSIONS, Found, list_images
from defects.sample import Sample
from engine.errors import DataError, FaultsError

__all__ = ["PLAIN", "Inputs", "open_inputs"]

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
    faults = [fault for fault in found.faults if not fault.warning]
    if faults:
        raise FaultsError(faults)
    if not files:
        raise DataError(f"{path}: holds no pictures; expected files ending in {', '.join(sorted(EXTENSIONS))}")
    samples = [Sample(name=file.relative_to(path).with_suffix("").as_posix(), image=file) for file in files]
    return Inputs(path, at_depth(samples, depth16), known=False)


def _known(path: Path) -> bool:
    return (path / REQUEST).is_file() or any(layout.fits(path) for layout in LAYOUTS.values())
