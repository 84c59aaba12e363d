"""One writer to a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.atomic import output_errors
from engine.errors import OutputError

__all__ = ["LOCK_NAME", "lock_folder"]

LOCK_NAME = ".lock"

_held: set[int] = set()


def _close_in_child() -> None:
    """A forked worker must not keep the lock of a parent that was killed."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


@contextmanager
def lock_folder(path: str | os.PathLike[str]) -> Iterator[None]:
    """Holds the folder for this process while the block runs; the kernel lets go of it if the process is killed.

    The folder is made if it is missing. The lock file is gone again when the block ends.

    Raises:
        OutputError: Another process holds the folder, or it cannot be written.
    """
    folder = Path(path)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(folder)
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:
            _held.discard(descriptor)
            with suppress(OSError):
                (folder / LOCK_NAME).unlink()
            os.close(descriptor)


def _acquire(folder: Path) -> int:
    file = folder / LOCK_NAME
    while True:
        with output_errors(file):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            named = f" (pid {holder})" if holder else ""
            raise OutputError(
                f"{folder}: is being written by another process{named}; wait for it or choose another output folder"
            ) from None
        except OSError as error:
            os.close(descriptor)
            with output_errors(file):
                raise error
        if _is_still(file, descriptor):
            break
        os.close(descriptor)
    try:
        with output_errors(file):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_still(file: Path, descriptor: int) -> bool:
    """Whether `file` is the file that was locked: its last holder may have removed it in between."""
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False
