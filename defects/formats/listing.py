"""What readers and writers of formats share: the image files and issues of a folder, and the rows of an export."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from defects.manifest import row_of
from defects.sample import GOOD, Polygon, Sample
from engine.errors import DataError, Issue
from engine.files.atomic import write_many

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
SPLITS = ("train", "val", "test")

_BATCH = 64

Result = TypeVar("Result")


@dataclass
class Listing:
    """The samples and issues that a reader collects."""

    samples: list[Sample] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def issue(self, path: Path | str, what: str, remedy: str, code: str) -> None:
        """Adds what makes the folder unusable until it is fixed."""
        self.issues.append(Issue(str(path), what, remedy, code=code))

    def warn(self, path: Path | str, what: str, remedy: str, code: str) -> None:
        """Adds what a person should know, with which the folder can still be used."""
        self.issues.append(Issue(str(path), what, remedy, warning=True, code=code))

    def without_image(self, files: Mapping[str, Path], images: Iterable[str], what: str, where: str) -> None:
        """Adds an issue for every mask or annotation file, by name, of which there is no image of that name.

        Args:
            files: Masks or annotation files by name.
            images: The names of the images.
            what: What the files are.
            where: Path of the image, with `{}` for the name.
        """
        for name in sorted(files.keys() - set(images)):
            remedy = f"add {where.format(name)} or remove the file"
            self.issue(files[name], f"{what} without its image", remedy, "E-format-image-missing")

    def contains(self, path: Path, root: Path) -> bool:
        """Whether a path, symlinks followed, stays in the root; an issue where it does not."""
        if stays_inside(path, root):
            return True
        self.issue(path, "a symlink that leaves the folder", "copy the file itself into the folder", "E-format-symlink")
        return False

    def annotated(
        self,
        name: str,
        image: Path,
        path: Path | str,
        labels: Sequence[str],
        polygons: Iterable[Polygon],
        **fields: Any,
    ) -> None:
        """Adds an image by its annotations: their most frequent class counts, with a warning if there are others.

        Args:
            name: Of the sample.
            image: The image file.
            path: The annotation file.
            labels: Class of every annotation; none for a good image.
            polygons: Outlines, px.
            fields: Other fields of the sample.
        """
        label = max(sorted(set(labels)), key=labels.count) if labels else GOOD
        if len(set(labels)) > 1:
            what = f"{name} has several classes ({', '.join(sorted(set(labels)))})"
            self.warn(path, what, f"the image counts as {label}", "E-format-several-classes")
        self.samples.append(Sample(name=name, image=image, polygons=tuple(polygons), label=label, **fields))


def stays_inside(path: Path, root: Path) -> bool:
    """Whether a path, with its symlinks followed, is within the root."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def subfolders(folder: Path) -> list[Path]:
    """The visible folders in a folder, by name; none when it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def list_images(
    folder: Path, root: Path, listing: Listing, *, extensions: Iterable[str] = EXTENSIONS, deep: bool = False
) -> list[Path]:
    """The image files of a folder, sorted; symlinks out of the root and names that collide are issues.

    Args:
        folder: Where to look; no images where it does not exist.
        root: What a symlink may not leave.
        listing: Collects the issues.
        extensions: Lower-case endings to take.
        deep: Whether to look into subfolders.
    """
    if not folder.is_dir():
        return []
    images: list[Path] = []
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(_walk(folder, deep)):
        if path.suffix.lower() in extensions and listing.contains(path, root):
            images.append(path)
            by_name[str(path.relative_to(folder).with_suffix("")).casefold()].append(path)
    for same in by_name.values():
        if len(same) > 1:
            names = ", ".join(path.name for path in same[1:])
            what, remedy = f"has the same name as {names}", "rename one of them or remove the duplicate"
            if len({path.stem for path in same}) > 1:
                what = f"differs from {names} only in upper and lower case"
                remedy = "rename one of them; Windows and macOS cannot store both"
            listing.issue(same[0], what, remedy, "E-format-duplicate-name")
    return images


def by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    """Paths by name without extension; of several the first."""
    stems: dict[str, Path] = {}
    for path in paths:
        stems.setdefault(path.stem, path)
    return stems


def _walk(folder: Path, deep: bool) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_file() or (entry.is_symlink() and not entry.is_dir()):
            yield Path(entry.path)
        elif deep and entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), deep)


@dataclass(frozen=True)
class ExportRow:
    """One image to write.

    Attributes:
        number: From 0, over the whole data set.
        split: `train`, `val` or `test`; `train` where the sample has no split.
        name: Unique within the split, with folders.
        sample: Image, mask and class.
        root: Folder of the data set.
    """

    number: int
    split: str
    name: str
    sample: Sample
    root: Path

    @property
    def flat(self) -> str:
        """The name as a file name without a dot; two names may only collide if they differ in punctuation alone."""
        return "".join(c if c.isalnum() or c in "-_" else "_" if c != "/" else "__" for c in self.name)

    @property
    def columns(self) -> dict[str, Any]:
        """The row of a manifest."""
        return row_of(self.sample, self.root)

    @cached_property
    def suffix(self) -> str:
        """Ending of the written image: that of its file, `.png` where the image is turned upright."""
        from defects.images.decode import image_info

        return ".png" if image_info(self.sample.image).orientation > 1 else self.sample.image.suffix.lower()

    def read(self) -> tuple[bytes, NDArray[np.bool_]]:
        """The bytes of the image file and the mask (H, W); an image with an EXIF orientation is encoded upright.

        Raises:
            DataError: A file is missing or does not open.
        """
        from defects.images.decode import encode_image, image_info, read_image, read_mask

        try:
            data = self.sample.image.read_bytes()
        except OSError as error:
            what = f"{self.sample.image}: {error.strerror}; restore it, or write the folder again"
            raise DataError(what, code="E-image-unreadable") from None
        info = image_info(self.sample.image)
        if info.orientation > 1:
            data = encode_image(read_image(self.sample.image, depth16=self.sample.depth16))
        return data, read_mask(self.sample, info)


@dataclass(frozen=True)
class ExportRows:
    """The rows of a data set.

    Attributes:
        rows: In the order of the samples.
        counts: Images of each split that has any.
        classes: Defect classes by name, `good` not among them.
    """

    rows: list[ExportRow]
    counts: dict[str, int]
    classes: list[str]

    @classmethod
    def of(cls, root: Path, samples: Sequence[Sample]) -> ExportRows:
        """The rows of samples below a folder.

        Raises:
            DataError: There are no samples, a split is unknown, or two images would get the same file name.
        """
        rows: list[ExportRow] = []
        counts: dict[str, int] = {}
        names: dict[str, str] = {}
        for number, sample in enumerate(samples):
            split = sample.metadata.get("split") or "train"
            if split not in SPLITS:
                what = f"{sample.image}: split {split!r}; expected {', '.join(SPLITS)}"
                raise DataError(what, code="E-export-unknown-split")
            row = ExportRow(number, split, sample.name.removeprefix(f"{split}/images/"), sample, root)
            key = f"{split}/{row.flat}".casefold()
            if key in names:
                what = f"{root}: {row.name} and {names[key]} would get one file name; rename one of them"
                raise DataError(what, code="E-export-name-clash")
            names[key] = row.name
            counts[split] = counts.get(split, 0) + 1
            rows.append(row)
        if not rows:
            raise DataError(f"{root}: has no image to export; give another folder", code="E-export-no-images")
        return cls(rows, counts, sorted({sample.label for sample in samples} - {GOOD}))

    def plain_name(self, row: ExportRow) -> str:
        """A file name that is unique over all splits."""
        return row.flat if len(self.counts) == 1 else f"{row.split}_{row.flat}"

    def map(self, work: Callable[[ExportRow], Result], rows: Iterable[ExportRow], workers: int) -> Iterator[Result]:
        """The results of `work` on rows, by threads, in order, a few at a time."""
        remaining = iter(rows)
        with ThreadPoolExecutor(workers) as pool:
            while batch := list(islice(remaining, _BATCH)):
                yield from pool.map(work, batch)

    def write_files(
        self,
        work: Callable[[ExportRow], list[tuple[Path, bytes]]],
        rows: Iterable[ExportRow],
        on_progress: Callable[[int], object],
        workers: int,
    ) -> None:
        """Writes the files of rows.

        Raises:
            DataError: An image or mask does not open.
            OutputError: A file cannot be written.
        """

        def files() -> Iterator[tuple[Path, bytes]]:
            for written in self.map(work, rows, workers):
                yield from written
                on_progress(1)

        write_missing(files())


def write_missing(files: Iterable[tuple[Path, bytes]]) -> None:
    """Writes the files that do not exist yet; a file that exists is whole.

    Raises:
        OutputError: A file cannot be written.
    """
    write_many((path, data) for path, data in files if not path.is_file())
