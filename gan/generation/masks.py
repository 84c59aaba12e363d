"""The masks a run starts from: found, named, and checked all at once before anything is written."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from sys import intern
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from defects.formats.listing import EXTENSIONS, Found, list_images
from defects.images.decode import read_mask_image
from defects.manifest import NAME, read_manifest
from defects.masks.width import pad_and_resize, set_width, width
from defects.sample import GOOD
from engine.errors import DataError, Issue, IssuesError
from engine.files.atomic import sha256_file
from engine.runtime.cache import BoundedCache

_LONGEST_NAME = 255
_SLICE = 128


@dataclass(frozen=True, slots=True)
class MaskEntry:
    """One mask; there may be millions of them.

    Attributes:
        file: relative to the list's root.
        kind: of the defect, "" if unknown.
        given: its name, where that is not the file's.
    """

    file: str
    kind: str = ""
    given: str = ""

    @property
    def name(self) -> str:
        """Posix style, without extension."""
        return self.given or str(PurePosixPath(self.file).with_suffix(""))


@dataclass(frozen=True)
class MaskList:
    """Masks in a fixed order."""

    root: Path
    entries: tuple[MaskEntry, ...]
    warnings: tuple[Issue, ...] = field(default=())

    def read(self, index: int) -> NDArray[np.bool_]:
        """(H, W) mask, grey values thresholded at half.

        Raises:
            DataError: when the file cannot be used.
        """
        return read_mask_image(self.root / self.entries[index].file)[0]


@dataclass(frozen=True)
class Inspected:
    """What reading every mask showed: a digest of names and contents, and what a person should know."""

    digest: str
    warnings: tuple[Issue, ...]


def list_masks(path: Path, *, longest_suffix: int = 0) -> MaskList:
    """The masks of a file, of a folder with everything below it, or of a sample folder's defective images.

    Files are taken in sorted order; the first subfolder is the kind. A folder with a manifest gives its rows' masks
    and kinds; one with `images` and `masks` gives the latter.

    Args:
        path: what `--masks` named.
        longest_suffix: how many characters an output file's name is longer than the mask's.

    Raises:
        DataError: nothing is there.
        IssuesError: names collide, are too long, or a symlink leaves the folder; all of them are listed.
    """
    if path.is_file():
        if path.suffix.lower() not in EXTENSIONS:
            raise DataError(f"{path}: not an image file; give a mask as {', '.join(sorted(EXTENSIONS))}, or a folder")
        return MaskList(path.parent, (MaskEntry(path.name),))
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder; give --masks a mask image or a folder of them")
    found = Found()
    entries = _from_manifest(path, found) if (path / NAME).is_file() else None
    root = path
    if entries is None:
        root = path / "masks" if (path / "masks").is_dir() and (path / "images").is_dir() else path
        files = (PurePosixPath(file.relative_to(root).as_posix()) for file in list_images(root, root, found, deep=True))
        entries = tuple(MaskEntry(str(file), intern(file.parts[0]) if len(file.parts) > 1 else "") for file in files)
    for entry in entries:
        if len(os.fsencode(PurePosixPath(entry.name).name)) + longest_suffix > _LONGEST_NAME:
            found.issue(root / entry.file, "the name is too long for the files made from it", "give it a shorter name")
    errors = [issue for issue in found.issues if not issue.warning]
    if errors:
        raise IssuesError(errors)
    if not entries:
        raise DataError(f"{path}: holds no masks; put white-on-black images there ({', '.join(sorted(EXTENSIONS))})")
    return MaskList(root, entries, tuple(found.issues))


def _from_manifest(path: Path, found: Found) -> tuple[MaskEntry, ...]:
    samples, issues = read_manifest(path)
    found.issues.extend(issues)
    return tuple(
        MaskEntry(sample.mask.relative_to(path).as_posix(), intern(sample.label), sample.name)
        for sample in samples
        if sample.mask is not None and sample.label != GOOD
    )


def inspect(masks: MaskList, *, workers: int = 2) -> Inspected:
    """Reads every mask once.

    Raises:
        IssuesError: masks that cannot be read or are empty, and folders of good parts that hold defects; all of them
            are listed.
    """
    issues: list[Issue] = []
    good: set[str] = set()
    digest = hashlib.sha256()
    entries = iter(masks.entries)
    with ThreadPoolExecutor(workers) as pool:
        while some := list(islice(entries, _SLICE)):
            for entry, (sha256, issue) in zip(some, pool.map(lambda e: _look(masks.root, e), some), strict=True):
                digest.update(f"{entry.name}\0{entry.kind}\0{sha256}\n".encode(errors="surrogateescape"))
                if issue is not None:
                    issues.append(issue)
                if entry.kind.casefold() == GOOD and (issue is None or issue.warning):
                    good.add(entry.kind)
    issues += [
        Issue(str(masks.root), f"{kind!r} names parts without a defect, but its masks hold one", "rename it")
        for kind in sorted(good)
    ]
    errors = [issue for issue in issues if not issue.warning]
    if errors:
        raise IssuesError(errors)
    return Inspected(digest.hexdigest(), (*masks.warnings, *issues))


def _look(root: Path, entry: MaskEntry) -> tuple[str, Issue | None]:
    path = root / entry.file
    try:
        mask, two_valued = read_mask_image(path)
        sha256 = sha256_file(path)
    except DataError as error:
        what, _, remedy = str(error).removeprefix(f"{path}: ").partition("; ")
        return "", Issue(str(path), what, remedy or "remove it")
    except OSError as error:
        return "", Issue(str(path), f"cannot be read ({error.strerror})", "check its permissions")
    if not mask.any():
        return sha256, Issue(str(path), "the mask is empty", "draw the defect in white, or remove it from the folder")
    if not two_valued:
        return sha256, Issue(
            str(path), "holds grey values, taken as defect from half of white up", "save it as black and white", True
        )
    return sha256, None


Mask = NDArray[np.bool_]

KEPT_MASKS = 16
KEPT_WIDTHS = 16
"""How many are kept: neighbouring images share a mask, distant ones never do."""


class Square:
    """A mask (S, S), its width when asked for, and what it looks like at other widths."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self._lock = Lock()
        self._widths: OrderedDict[float, Mask] = OrderedDict()

    @cached_property
    def width(self) -> float:
        """Mean local width in px."""
        return width(self.mask)

    def at(self, width_px: float) -> Mask:
        """The mask brought to a width; a thread that wants what another one makes waits for it."""
        with self._lock:
            if width_px not in self._widths:
                self._widths[width_px] = set_width(self.mask, width_px)
                if len(self._widths) > KEPT_WIDTHS:
                    self._widths.popitem(last=False)
            return self._widths[width_px]


class Squares:
    """The masks of a list brought to (side, side) by `pad_and_resize`; the latest are kept."""

    def __init__(self, masks: MaskList, side: int) -> None:
        self.masks, self.side = masks, side
        self._kept = BoundedCache[Square](KEPT_MASKS)

    def __getitem__(self, number: int) -> Square:
        """Mask `number` of the list, of any size and aspect as a file.

        Raises:
            DataError: when the file cannot be read any more.
        """
        return self._kept.get(number, lambda: Square(pad_and_resize(self.masks.read(number), self.side)))
