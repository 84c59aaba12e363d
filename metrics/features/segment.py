"""A file of rows: keys first, so that they can be read alone, then the numbers, under the SHA-256 of it all."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["SUFFIX", "Row", "Segment", "pack", "read_keys"]

SUFFIX = ".features"
KEY_BYTES = 32

_MAGIC = b"magna-features-1"
_HEADER = struct.Struct("<16sIII")  # magic, rows, features, logits (0: none); little endian, as the numbers


class Row(NamedTuple):
    """What is kept of one image.

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
