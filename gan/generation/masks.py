"""The masks of a run: found, named, checked all at once before anything is written, and resized."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath
from sys import intern
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defects.formats.listing import EXTENSIONS, Listing, list_images
from defects.images.decode import read_mask_image
from defects.manifest import NAME, read_manifest
from defects.masks.width import Mask, pad_and_resize, set_width, width
from defects.sample import GOOD
from engine.errors import DataError, Issue, IssuesError
from engine.files.atomic import sha256_file

_LONGEST_NAME = 255
_SLICE = 128


@dataclass(frozen=True, slots=True)
class MaskEntry:
    """One mask; there may be millions of them.

    Attributes:
        file: Relative to the list's root.
        label: Class of the defect, "" if unknown.
        given: Its name, where that is not the file's.
    """

    file: str
    label: str = ""
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

    def read(self, index: int) -> Mask:
        """(H, W) mask, gray levels thresholded at half.

        Raises:
            DataError: The file cannot be used.
        """
        return read_mask_image(self.root / self.entries[index].file)[0]


@dataclass(frozen=True)
class MaskArrays(MaskList):
    """Masks in memory, each (H, W)."""

    arrays: tuple[Mask, ...] = ()

    @classmethod
    def of(cls, masks: Sequence[Any]) -> MaskArrays:
        """Names a single mask `mask`, several ones `mask-0`, `mask-1`, ...

        Raises:
            DataError: A mask is not an (H, W) array of finite numbers, or no pixel of it is on the defect.
        """
        arrays = tuple(_as_mask(number, np.asarray(mask)) for number, mask in enumerate(masks))
        names = ["mask"] if len(masks) == 1 else [f"mask-{number}" for number in range(len(masks))]
        return cls(Path(), tuple(MaskEntry(f"{name}.png") for name in names), (), arrays)

    def read(self, index: int) -> Mask:
        """See `MaskList.read`."""
        return self.arrays[index]


def _as_mask(number: int, array: NDArray[Any]) -> Mask:
    """Positive pixels; above 127 those of uint8 gray levels."""
    what = ""
    if array.dtype.kind not in "biuf":
        what = f"holds {array.dtype}, not numbers"
    elif array.ndim != 2:
        what = f"has the shape {array.shape}"
    elif not np.isfinite(array).all():
        what = "holds NaN or infinity"
    else:
        mask: Mask = array > (127 if array.dtype == np.uint8 and array.size and array.max() > 1 else 0)
        if mask.any():
            return mask
        what = "is empty: no pixel is positive, or above 127 where it is gray"
    raise DataError(f"mask {number}: {what}; give an (H, W) array, positive on the defect", code="E-masks-array")


@dataclass(frozen=True)
class Inspected:
    """The result of reading every mask: a digest of names and contents, and warnings."""

    digest: str
    warnings: tuple[Issue, ...]


def list_masks(path: Path, *, longest_suffix: int = 0) -> MaskList:
    """The masks of a file, of a folder with everything below it, or of a sample folder's defective images.

    Files are taken in sorted order; the first subfolder is the class. A folder with a manifest gives its rows' masks
    and classes; one with `images` and `masks` gives the latter.

    Args:
        path: The value of `--masks`.
        longest_suffix: How many characters an output file's name is longer than the mask's.

    Raises:
        DataError: Nothing is there.
        IssuesError: Names collide, are too long, or a symlink leaves the folder; all of them are listed.
    """
    known = ", ".join(sorted(EXTENSIONS))
    if path.is_file():
        if path.suffix.lower() not in EXTENSIONS:
            raise DataError(
                f"{path}: not an image file; give a mask as {known}, or a folder", code="E-masks-not-an-image"
            )
        return MaskList(path.parent, (MaskEntry(path.name),))
    if not path.is_dir():
        raise DataError(
            f"{path}: no such file or folder; give --masks a mask image or a folder of them", code="E-masks-missing"
        )
    listing = Listing()
    entries = _from_manifest(path, listing) if (path / NAME).is_file() else None
    root = path
    if entries is None:
        root = path / "masks" if (path / "masks").is_dir() and (path / "images").is_dir() else path
        files = (
            PurePosixPath(file.relative_to(root).as_posix()) for file in list_images(root, root, listing, deep=True)
        )
        entries = tuple(MaskEntry(str(file), intern(file.parts[0]) if len(file.parts) > 1 else "") for file in files)
    for entry in entries:
        if len(os.fsencode(PurePosixPath(entry.name).name)) + longest_suffix > _LONGEST_NAME:
            what = "the name is too long for the files generated from it"
            listing.issue(root / entry.file, what, "give it a shorter name", "E-masks-long-name")
    errors = [issue for issue in listing.issues if not issue.warning]
    if errors:
        raise IssuesError(errors)
    if not entries:
        raise DataError(f"{path}: holds no masks; put white-on-black images there ({known})", code="E-masks-missing")
    return MaskList(root, entries, tuple(listing.issues))


def _from_manifest(path: Path, listing: Listing) -> tuple[MaskEntry, ...]:
    samples, issues = read_manifest(path)
    listing.issues.extend(issues)
    return tuple(
        MaskEntry(sample.mask.relative_to(path).as_posix(), intern(sample.label), sample.name)
        for sample in samples
        if sample.mask is not None and sample.label != GOOD
    )


def inspect(masks: MaskList, *, workers: int = 2) -> Inspected:
    """Reads every mask once.

    Raises:
        IssuesError: Masks that cannot be read or are empty, and folders of good parts that hold defects; all of them
            are listed.
    """
    issues: list[Issue] = []
    good: set[str] = set()
    digest = hashlib.sha256()
    entries = iter(masks.entries)
    with ThreadPoolExecutor(workers) as pool:
        while some := list(islice(entries, _SLICE)):
            for entry, (sha256, issue) in zip(some, pool.map(lambda e: _check(masks.root, e), some), strict=True):
                digest.update(f"{entry.name}\0{entry.label}\0{sha256}\n".encode(errors="surrogateescape"))
                if issue is not None:
                    issues.append(issue)
                if entry.label.casefold() == GOOD and (issue is None or issue.warning):
                    good.add(entry.label)
    what = "names parts without a defect, but its masks hold one"
    issues += [
        Issue(str(masks.root), f"{label!r} {what}", "rename it", code="E-masks-good-label") for label in sorted(good)
    ]
    errors = [issue for issue in issues if not issue.warning]
    if errors:
        raise IssuesError(errors)
    return Inspected(digest.hexdigest(), (*masks.warnings, *issues))


def _check(root: Path, entry: MaskEntry) -> tuple[str, Issue | None]:
    path = root / entry.file
    try:
        mask, two_valued = read_mask_image(path)
        sha256 = sha256_file(path)
    except DataError as error:
        what, _, remedy = str(error).removeprefix(f"{path}: ").partition("; ")
        return "", Issue(str(path), what, remedy or "remove it", code=error.code)
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        return "", Issue(str(path), what, "check its permissions", code="E-masks-unreadable")
    if not mask.any():
        remedy = "draw the defect in white, or remove it from the folder"
        return sha256, Issue(str(path), "the mask is empty", remedy, code="E-masks-empty")
    if not two_valued:
        what = "holds gray levels, taken as defect from half of white up"
        return sha256, Issue(str(path), what, "save it as black and white", warning=True, code="E-masks-gray")
    return sha256, None


CACHED_MASKS = 16
CACHED_WIDTHS = 16
"""How many are cached: neighboring images share a mask, distant ones never do."""


class ResizedMask:
    """A mask (S, S), its width, and the same mask at other widths."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self._lock = Lock()
        self._with_width = lru_cache(CACHED_WIDTHS)(lambda width_px: set_width(mask, width_px))

    @cached_property
    def width(self) -> float:
        """Mean local width in px."""
        return width(self.mask)

    def with_width(self, width_px: float) -> Mask:
        """The mask at another width; a thread that needs what another one computes waits for it."""
        with self._lock:
            return self._with_width(width_px)


class ResizedMasks:
    """The masks of a list resized to (side, side) by `pad_and_resize`; the latest are cached."""

    def __init__(self, masks: MaskList, side: int) -> None:
        self._get = lru_cache(CACHED_MASKS)(lambda number: ResizedMask(pad_and_resize(masks.read(number), side)))

    def __getitem__(self, number: int) -> ResizedMask:
        """Mask `number` of the list, of any size and aspect as a file.

        Raises:
            DataError: The file cannot be read any more.
        """
        return self._get(number)
