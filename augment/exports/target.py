"""The folder of an export: begun, gone on with, and only whole files in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import OutputError
from engine.files.atomic import from_json, remove_temporaries, write_json, write_many
from engine.files.json_lines import LOCK_NAME, lock_folder

NAME = "export.json"


@contextmanager
def target(out: Path, description: dict[str, object], *, resume: bool) -> Iterator[None]:
    """Holds an export's folder while the block runs.

    Args:
        out: The folder.
        description: What is exported to what; a folder begun with another one is not gone on with.
        resume: Go on with a folder that was begun.

    Raises:
        OutputError: The folder is in use, is not empty and `resume` is not set, or holds something else.
    """
    with lock_folder(out):
        remove_temporaries(out)
        there = [entry.name for entry in out.iterdir() if entry.name != LOCK_NAME]
        if there and not resume:
            raise OutputError(f"{out}: is not empty; add --resume to go on with it, or choose another folder")
        if there:
            try:
                before = from_json((out / NAME).read_bytes())
            except (OSError, ValueError):
                before = None
            if before != json.loads(json.dumps(description)):
                raise OutputError(f"{out}: holds something else than this export; choose another folder")
        else:
            write_json(out / NAME, description)
        yield


def write_missing(files: Iterable[tuple[Path, bytes]]) -> None:
    """Writes the files that are not there yet; what is there under its name is whole.

    Raises:
        OutputError: One cannot be written.
    """
    write_many((path, data) for path, data in files if not path.is_file())
