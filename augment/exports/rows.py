"""The rows of a folder that is exported, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from defects.images.decode import read_mask
from defects.images.header import image_info
from defects.manifest import NAME, sample_of
from defects.sample import GOOD, Sample
from engine.errors import DataError
from engine.files.atomic import from_json, sha256_file

SPLITS = ("train", "val", "test")

_SLICE = 64

Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """One image.

    Attributes:
        number: From 0, over the whole folder.
        split: `train`, `val` or `test`; a folder without that column is all `train`.
        name: Unique within the split, with folders.
        sample: Image, mask and kind.
        columns: The manifest's row.
    """

    number: int
    split: str
    name: str
    sample: Sample
    columns: dict[str, Any]

    @property
    def flat(self) -> str:
        """The name as one file's name, without a dot; two may only come out alike if they differ in signs alone."""
        return "".join(c if c.isalnum() or c in "-_" else "_" if c != "/" else "__" for c in self.name)

    def read(self) -> tuple[bytes, tuple[int, int], NDArray[np.bool_]]:
        """The image file's bytes, its (height, width) and its mask.

        Raises:
            DataError: A file is missing or does not open.
        """
        try:
            data = self.sample.image.read_bytes()
        except OSError as error:
            raise DataError(f"{self.sample.image}: {error.strerror}; restore it, or write the folder again") from None
        info = image_info(self.sample.image)
        return data, info.upright, read_mask(self.sample, info)


@dataclass(frozen=True)
class Folder:
    """A sample folder.

    Attributes:
        root: Where it is.
        sha256: Of its manifest.
        counts: Images of each split that has any.
        kinds: Defect kinds by name, `good` not among them.
    """

    root: Path
    sha256: str
    counts: dict[str, int]
    kinds: list[str]

    def rows(self) -> Iterator[Row]:
        """Every row, in flat memory.

        Raises:
            DataError: A line is damaged.
        """
        with open(self.root / NAME, encoding="utf-8-sig") as file:
            for number, line in enumerate(line for line in file if line.strip()):
                yield _row(self.root, number, line)

    def map(self, work: Callable[[Row], Result], rows: Iterator[Row], workers: int = 2) -> Iterator[Result]:
        """Work on rows by threads, in order, a few at a time."""
        with ThreadPoolExecutor(workers) as pool:
            while some := list(islice(rows, _SLICE)):
                yield from pool.map(work, some)


def open_folder(root: Path) -> Folder:
    """Goes through the manifest once.

    Raises:
        DataError: There is none, it is damaged, empty, or two of its images would get one name.
    """
    path = root / NAME
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a folder that mix-defects has written, to its end")
    folder = Folder(root, sha256_file(path), {}, [])
    kinds: set[str] = set()
    seen: dict[str, str] = {}
    for row in folder.rows():
        folder.counts[row.split] = folder.counts.get(row.split, 0) + 1
        kinds.add(row.sample.label)
        key = f"{row.split}/{row.flat}".casefold()
        if key in seen:
            raise DataError(f"{path}: {row.name} and {seen[key]} would get one file name; rename one of them")
        seen[key] = row.name
    if not folder.counts:
        raise DataError(f"{path}: holds no image; give a folder that mix-defects has written")
    folder.kinds.extend(sorted(kinds - {GOOD}))
    return folder


def _row(root: Path, number: int, line: str) -> Row:
    try:
        columns = from_json(line)
        if not isinstance(columns, dict):
            raise ValueError
    except ValueError:
        raise DataError(f"{root / NAME}:{number + 1}: no JSON object; write the folder again") from None
    sample = sample_of(columns, root)
    split = columns.get("split") or "train"
    if split not in SPLITS:
        raise DataError(f"{root / NAME}:{number + 1}: split {split!r}; expected {', '.join(SPLITS)}")
    return Row(number, split, sample.name.removeprefix(f"{split}/images/"), sample, columns)
