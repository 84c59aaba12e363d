"""Files that are whole or absent: bytes, text, JSON, streams; hashes; names that cannot leave their folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

from engine.errors import DataError, OutputError, UsageError


def to_json(obj: Any, *, indent: int | None = None) -> bytes:
    """JSON as UTF-8 bytes, keys in their own order; names that are no valid UTF-8 are escaped.

    Raises:
        ValueError: The object holds NaN or an infinity, which JSON does not know.
    """
    try:
        return json.dumps(obj, ensure_ascii=False, allow_nan=False, indent=indent).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(obj, allow_nan=False, indent=indent).encode("ascii")


def from_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: It is no JSON, no UTF-8, or nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


_BATCH = 64
_LONGEST_NAME = 255
_TEMPORARY = re.compile(r"^\..+\.\d+\.tmp$", re.DOTALL)

_FREE_SPACE = "free some space, then run the same command with --resume"
_OTHER_FOLDER = "choose another output folder or change its permissions"
_OTHER_NAME = "choose another output path"
_REMEDIES = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EROFS: _OTHER_FOLDER,
    errno.EACCES: _OTHER_FOLDER,
    errno.EPERM: _OTHER_FOLDER,
    errno.EEXIST: _OTHER_NAME,
    errno.EISDIR: _OTHER_NAME,
    errno.ENOTDIR: _OTHER_NAME,
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def output_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns an OSError raised while writing `path` into a one-line OutputError."""
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "check the disk and the path, then run the same command with --resume")
        raise OutputError(f"{os.fspath(path)}: {what}; {remedy}", code="E-out-unwritable") from error


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes one file atomically, making missing parent folders.

    Raises:
        OutputError: The disk is full, the folder is read-only, or the path cannot be a file. No temporary is left.
    """
    write_many([(path, data)])


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 text atomically; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], obj: Any) -> None:
    """Writes indented UTF-8 JSON atomically; see `write_bytes`.

    Raises:
        ValueError: The object holds NaN or an infinity, which JSON does not know.
    """
    write_bytes(path, to_json(obj, indent=2) + b"\n")


def write_many(pairs: Iterable[tuple[str | os.PathLike[str], bytes]]) -> None:
    """Writes several files, each atomically; they appear in the given order, batch by batch.

    Args:
        pairs: (path, content) of each file; a generator is consumed 64 files at a time.

    Raises:
        OutputError: See `write_bytes`. Files of earlier batches stay, whole.
    """
    batch: dict[Path, bytes] = {}
    for name, data in pairs:
        path = Path(name)
        if len(batch) == _BATCH or path in batch:
            _write_batch(batch)
            batch = {}
        batch[path] = data
    if batch:
        _write_batch(batch)


def _write_batch(batch: Mapping[Path, bytes]) -> None:
    temporaries = {path: _temporary_name(path) for path in batch}
    opened: dict[Path, int] = {}
    unnamed: dict[Path, Path] = {}
    try:
        for path, data in batch.items():
            with output_errors(path):
                opened[path] = _open_new(temporaries[path])
                unnamed[path] = temporaries[path]
                write_all(opened[path], data)
        for path in batch:
            with output_errors(path):
                os.fsync(opened[path])
                os.close(opened.pop(path))
        for path in batch:
            with output_errors(path):
                os.replace(temporaries[path], path)
                del unnamed[path]
        for folder in dict.fromkeys(path.parent for path in batch):
            with output_errors(folder):
                sync_folder(folder)
    finally:
        for descriptor in opened.values():
            with suppress(OSError):
                os.close(descriptor)
        for temporary in unnamed.values():
            with suppress(OSError):
                temporary.unlink()


def _temporary_name(path: Path) -> Path:
    name = f".{path.name}.{os.getpid()}.tmp"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}.{os.getpid()}.tmp"
    return path.parent / name


def _open_new(temporary: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(temporary, flags, 0o666)
    except FileNotFoundError:
        make_folders(temporary.parent)
        return os.open(temporary, flags, 0o666)


def make_folders(folder: Path) -> None:
    """Makes a folder with its missing parents and syncs what now names them; may raise OSError."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of `data`; may raise OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable; may raise OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(folder: str | os.PathLike[str]) -> int:
    """Removes the temporaries a killed run left anywhere below `folder`; hold its lock.

    Returns:
        How many were removed.
    """
    removed = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if _TEMPORARY.match(name):
                path = Path(parent, name)
                with output_errors(path):
                    path.unlink(missing_ok=True)
                removed += 1
    return removed


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


def check_apart(out: Path, folders: Mapping[str, Path | None], *, flag: str = "--out") -> None:
    """Refuses an output folder that holds one of its inputs, or lies in one.

    Args:
        out: The output folder.
        folders: Inputs by the flag that names them; None where a flag is not given.
        flag: That names the output.

    Raises:
        UsageError: One is inside the other, or they are the same.
    """
    target = out.resolve()
    for other, folder in folders.items():
        if folder is None:
            continue
        given = folder.resolve()
        if target.is_relative_to(given) or given.is_relative_to(target):
            raise UsageError(
                f"{flag}: {out} and {other} {folder} lie inside one another; choose another {flag}",
                code="E-out-overlaps-input",
            )


def inside(root: str | os.PathLike[str], name: str) -> Path:
    """Joins a name from a manifest or an annotation to its folder, and lets nothing out of that folder.

    Raises:
        DataError: The name is empty or absolute, holds `..`, or a symlink on its way leaves `root`.
    """
    path = PurePosixPath(name)
    where = f"{os.fspath(root)}: file name {name!r}"
    if not path.parts or "\0" in name:
        raise DataError(f"{where} is no file name; write a name relative to that folder", code="E-file-name")
    if path.is_absolute() or PureWindowsPath(name).is_absolute():
        raise DataError(f"{where} is absolute; write it relative to that folder", code="E-file-name")
    if ".." in path.parts or ".." in PureWindowsPath(name).parts:
        raise DataError(f"{where} leaves the folder by '..'; write it relative to that folder", code="E-file-name")
    joined = Path(root, path)
    if not joined.resolve().is_relative_to(Path(root).resolve()):
        raise DataError(f"{where} leaves the folder by a symlink; copy the file into the folder", code="E-file-name")
    return joined
