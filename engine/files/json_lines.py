"""Append-only JSON lines that survive a kill, and the lock that leaves a folder to one process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from engine.errors import DataError, OutputError
from engine.files.atomic import from_json, make_folders, output_errors, sync_folder, to_json, write_all


class LineLog:
    """Appends JSON objects, one a line; a last line torn by a kill is dropped on opening.

    Args:
        path: The file; created, with its folders, if missing.

    Raises:
        DataError: A line before the last is no JSON object.
        OutputError: The file cannot be opened for writing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with output_errors(self.path):
            make_folders(self.path.parent)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            with output_errors(self.path):
                end = self._end_of_whole_lines()
                if end < os.fstat(self._descriptor).st_size:
                    os.ftruncate(self._descriptor, end)
                os.fsync(self._descriptor)
                sync_folder(self.path.parent)
        except BaseException:
            self.close()
            raise

    def _end_of_whole_lines(self) -> int:
        end = 0
        broken = 0
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if broken:
                    raise DataError(
                        f"{self.path}: line {broken} is no JSON object; fix or remove that line", code="E-log-damaged"
                    )
                if line.endswith(b"\n") and _parse(line) is not None:
                    end += len(line)
                else:
                    broken = number
        return end

    def append(self, objs: Sequence[Mapping[str, Any]]) -> None:
        """Appends the objects in one write and syncs; after a failure or an interrupt the file ends where it
        did before.

        Raises:
            OutputError: The disk is full or the file is gone read-only.
            ValueError: An object holds NaN or an infinity, which JSON does not know.
        """
        if not objs:
            return
        data = b"".join(to_json(dict(obj)) + b"\n" for obj in objs)
        with output_errors(self.path):
            size = os.fstat(self._descriptor).st_size
            try:
                write_all(self._descriptor, data)
                os.fsync(self._descriptor)
            except BaseException:
                os.ftruncate(self._descriptor, size)
                raise

    def truncate(self, count: int) -> None:
        """Keeps the first `count` lines: what a resumed run writes again must not stand twice.

        Raises:
            OutputError: The file cannot be written.
        """
        with output_errors(self.path), open(self.path, "rb") as file:
            end = sum(len(line) for line in islice(file, count))
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)

    def stream(self) -> Iterator[dict[str, Any]]:
        """The objects in order, one at a time, in flat memory."""
        with open(self.path, "rb") as file:
            for line in file:
                row = _parse(line)
                if row is not None:
                    yield row

    def lines(self) -> list[dict[str, Any]]:
        """All objects in order."""
        return list(self.stream())

    def close(self) -> None:
        """Closes the file; appending after that is an error."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> LineLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = from_json(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


LOCK_NAME = ".lock"


@contextmanager
def lock_folder(path: str | os.PathLike[str]) -> Iterator[None]:
    """Holds the folder for this process while the block runs; the kernel releases it if the process is killed.

    The folder is created if it is missing. The lock file names the process and is removed when the block ends.

    Raises:
        OutputError: Another process holds the folder, or it cannot be written.
    """
    folder = Path(path)
    file = folder / LOCK_NAME
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; choose another output folder", code="E-out-is-a-file")
    lock = FileLock(file, timeout=0, thread_local=False)
    with output_errors(file):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            holder = file.read_text(encoding="ascii", errors="replace")[:32].strip() if file.is_file() else ""
            named = f" (pid {holder})" if holder else ""
            raise OutputError(
                f"{folder}: is being written by another process{named}; wait for it or choose another output folder",
                code="E-out-in-use",
            ) from None
    owner = os.getpid()
    try:
        with output_errors(file):
            file.write_text(f"{owner}\n", encoding="ascii")
        yield
    finally:
        if os.getpid() == owner:  # a forked worker that leaves the block has no lock to give back
            with suppress(OSError):
                file.unlink()  # while it is held: whoever opened it meanwhile sees that it is gone and opens it again
            lock.release()
