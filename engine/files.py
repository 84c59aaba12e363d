"""Files on disk: all that a package above needs to write, append to, lock, name and hash them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from engine.atomic import output_errors, remove_temporaries, write_bytes, write_json, write_many, write_text
from engine.errors import DataError
from engine.json_text import from_json, to_json
from engine.linelog import LineLog
from engine.locks import LOCK_NAME, lock_folder

__all__ = [
    "LOCK_NAME",
    "LineLog",
    "from_json",
    "inside",
    "lock_folder",
    "output_errors",
    "remove_temporaries",
    "sha256_bytes",
    "sha256_file",
    "to_json",
    "write_bytes",
    "write_json",
    "write_many",
    "write_text",
]


def sha256_bytes(data: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, read in pieces.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(root: str | os.PathLike[str], name: str) -> Path:
    """Joins a name from a manifest or an annotation to its folder, and lets nothing out of that folder.

    Raises:
        DataError: The name is empty or absolute, holds `..`, or a symlink on its way leaves `root`.
    """
    path = PurePosixPath(name)
    where = f"{os.fspath(root)}: file name {name!r}"
    if not path.parts or "\0" in name:
        raise DataError(f"{where} is no file name; write a name relative to that folder")
    if path.is_absolute() or PureWindowsPath(name).is_absolute():
        raise DataError(f"{where} is absolute; write it relative to that folder")
    if ".." in path.parts or ".." in PureWindowsPath(name).parts:
        raise DataError(f"{where} leaves the folder by '..'; write it relative to that folder")
    joined = Path(root, path)
    if not joined.resolve().is_relative_to(Path(root).resolve()):
        raise DataError(f"{where} leaves the folder by a symlink; copy the file into the folder")
    return joined
