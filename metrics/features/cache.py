"""Features cached on disk by content: segments of rows under their SHA-256, read by keys."""

from __future__ import annotations

import hashlib
import logging
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import OutputError
from engine.files.atomic import write_bytes

SUFFIX = ".features"
KEY_BYTES = 32

_MAGIC = b"magna-features-1"
_HEADER = struct.Struct("<16sIII")  # magic, rows, features, logits (0: none); little endian, as the numbers


class Row(NamedTuple):
    """What is cached of one image.

    Attributes:
        features: (D,) float32.
        logits: (K,) float32, or None.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None


@dataclass(frozen=True)
class Segment:
    """The numbers of a segment that was found whole: (N, D) and (N, K or 0)."""

    features: NDArray[np.float32]
    logits: NDArray[np.float32]

    @classmethod
    def read(cls, path: Path) -> Segment | None:
        """None where the file is gone or is not what its name says."""
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != path.stem or len(data) < _HEADER.size:
            return None
        _, rows, dim, classes = _HEADER.unpack_from(data)
        numbers = np.frombuffer(data, "<f4", offset=_HEADER.size + rows * KEY_BYTES)
        return cls(numbers[: rows * dim].reshape(rows, dim), numbers[rows * dim :].reshape(rows, classes))

    def row(self, index: int) -> Row:
        """One row, copied."""
        logits = self.logits[index].astype(np.float32) if self.logits.shape[1] else None
        return Row(self.features[index].astype(np.float32), logits)


def pack(rows: Mapping[bytes, Row]) -> tuple[str, bytes]:
    """The name of a segment and its content.

    Raises:
        ValueError: There are no rows, or they are not of one shape.
    """
    if not rows:
        raise ValueError("expected at least one row, got none; write nothing instead")
    features = np.stack([row.features for row in rows.values()]).astype("<f4")
    logits = np.stack([np.empty(0) if row.logits is None else row.logits for row in rows.values()]).astype("<f4")
    header = _HEADER.pack(_MAGIC, len(rows), features.shape[1], logits.shape[1])
    data = b"".join((header, *rows, features.tobytes(), logits.tobytes()))
    return hashlib.sha256(data).hexdigest() + SUFFIX, data


def read_keys(path: Path) -> list[bytes]:
    """The keys of a segment, not yet checked; none where the file is gone, short or something else."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            magic, rows, dim, classes = _HEADER.unpack(file.read(_HEADER.size))
            if magic != _MAGIC or size != _HEADER.size + rows * (KEY_BYTES + 4 * (dim + classes)):
                return []
            keys = file.read(rows * KEY_BYTES)
    except (OSError, struct.error):
        return []
    return [keys[start : start + KEY_BYTES] for start in range(0, len(keys), KEY_BYTES)]


logger = logging.getLogger(__name__)

ROWS = 256
_OPEN_SEGMENTS = 8
_LARGEST = 2 << 30


def pixel_key(image: NDArray[np.uint8]) -> bytes:
    """SHA-256 of the shape and the pixels of an image (H, W, C)."""
    digest = hashlib.sha256(repr(image.shape).encode("ascii"))
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


class FeatureCache:
    """Rows of features by pixels and extractor.

    Args:
        folder: Of the segments, one folder an extractor; None for no cache on disk.
        largest: Bytes the folder may hold. After a write, the segments that were used longest ago go first.
    """

    def __init__(self, folder: Path | None, *, largest: int = _LARGEST) -> None:
        self._folder = folder
        self._largest = largest

    def open(self, fingerprint: str) -> CachedRows:
        """The rows of one extractor."""
        name = hashlib.sha256(fingerprint.encode("utf-8")).hexdigest()[:32]
        return CachedRows(None if self._folder is None else self._folder / name, self._make_room)

    def _make_room(self, newest: Path) -> None:
        """Removes segments, those used longest ago first, until the folder is within its size; never the newest."""
        if self._folder is None:
            return
        found = []
        for path in self._folder.glob(f"*/*{SUFFIX}"):
            with suppress(OSError):  # another run may have removed it
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._largest:
                return
            if path != newest:
                with suppress(OSError):
                    path.unlink()
                total -= size


class CachedRows:
    """The rows of one extractor; opened by `FeatureCache.open`. Use it as a context: what is new is written at its end.

    Args:
        folder: Of this extractor's segments; None keeps nothing.
        make_room: Called with each segment that was written.
    """

    def __init__(self, folder: Path | None, make_room: Callable[[Path], None]) -> None:
        self._folder = folder
        self._make_room = make_room
        self._places: dict[bytes, tuple[Path, int]] = {}
        self._open: OrderedDict[Path, Segment] = OrderedDict()
        self._new: dict[bytes, Row] = {}
        if folder is not None:
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                self._places.update({key: (path, row) for row, key in enumerate(read_keys(path))})

    def __enter__(self) -> CachedRows:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def get(self, key: bytes) -> Row | None:
        """The row of an image, or None where it is not known or was damaged."""
        if key in self._new:
            return self._new[key]
        place = self._places.get(key)
        if place is None:
            return None
        segment = self._segment(place[0])
        return None if segment is None else segment.row(place[1])

    def put(self, key: bytes, row: Row) -> None:
        """Keeps a row; written when there are enough of them."""
        if self._folder is None:
            return
        self._new[key] = row
        if len(self._new) >= ROWS:
            self.flush()

    def flush(self) -> None:
        """Writes what is new. A cache that cannot be written is logged once and is off from then on."""
        if not self._new or self._folder is None:
            return
        name, data = pack(self._new)
        path = self._folder / name
        try:
            write_bytes(path, data)
        except OutputError as error:
            logger.warning("features are not cached: %s", error)
            self._folder = None
        else:
            self._places.update({key: (path, row) for row, key in enumerate(self._new)})
            self._make_room(path)
        self._new = {}

    def _segment(self, path: Path) -> Segment | None:
        """A whole segment, marked as used; a damaged one is removed and forgotten."""
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        segment = Segment.read(path)
        if segment is None:
            if path.exists():
                logger.warning("%s: is damaged; its features are computed again", path)
                with suppress(OSError):
                    path.unlink()
            self._places = {key: place for key, place in self._places.items() if place[0] != path}
            return None
        with suppress(OSError):
            os.utime(path)
        self._open[path] = segment
        if len(self._open) > _OPEN_SEGMENTS:
            self._open.popitem(last=False)
        return segment


def user_cache(*parts: str) -> Path:
    """A place below `magna-defect` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache); not created here."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(given) if os.path.isabs(given) else Path("~/.cache").expanduser()
    return home.joinpath("magna-defect", *parts)
