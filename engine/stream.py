"""A large file written piece by piece and still atomically."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from engine.atomic import make_folders, output_errors, sync_folder

__all__ = ["open_atomic"]


@contextmanager
def open_atomic(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write to; it appears under its name when the block ends well, and not at all otherwise.

    Raises:
        OutputError: The disk is full or the folder cannot be written. No temporary is left.
    """
    target = Path(path)
    temporary = target.parent / f".{target.name}.{os.getpid()}.tmp"
    try:
        with output_errors(target):
            make_folders(target.parent)
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
            sync_folder(target.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
