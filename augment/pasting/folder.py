"""Pasted images as a sample folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from augment.pasting.paster import Made, Paster
from defects.images.decode import encode_image
from defects.manifest import NAME, row_of
from defects.sample import Sample
from engine.errors import OutputError, UsageError
from engine.files.atomic import remove_temporaries, sha256_bytes, write_many
from engine.files.json_lines import LOCK_NAME, LineLog, lock_folder

_BATCH = 16


def write_pasted(
    out: Path,
    paster: Paster,
    count: int,
    *,
    resume: bool = False,
    on_progress: Callable[[int], object] | None = None,
) -> int:
    """Write the first `count` items: `images/`, `masks/` and, last of each batch, rows of `metadata.jsonl`.

    Args:
        out: the folder.
        paster: what makes them.
        count: how many the folder holds in the end.
        resume: go on with a folder begun with the same method, seed and samples.
        on_progress: told how many more images are done.

    Returns:
        The number of images written now.

    Raises:
        OutputError: the folder is not empty, in use or cannot be written.
        UsageError: resumed with another method or seed.
        DataError: an image does not open or no defect fits.
    """
    with lock_folder(out):
        remove_temporaries(out)
        if not resume and any(entry.name != LOCK_NAME for entry in out.iterdir()):
            raise OutputError(f"{out}: is not empty; add --resume to go on with it or choose another folder")
        with LineLog(out / NAME) as log:
            done = _recorded(list(log.stream()), paster, out)
            if on_progress is not None:
                on_progress(min(done, count))
            for start in range(done, count, _BATCH):
                files: list[tuple[Path, bytes]] = []
                rows = []
                for index in range(start, min(start + _BATCH, count)):
                    some, row = _encoded(paster.make(index), out)
                    files += some
                    rows.append(row)
                write_many(files)
                log.append(rows)
                if on_progress is not None:
                    on_progress(len(rows))
    return max(0, count - done)


def _encoded(made: Made, out: Path) -> tuple[list[tuple[Path, bytes]], dict[str, Any]]:
    image, mask = out / "images" / f"{made.name}.png", out / "masks" / f"{made.name}.png"
    data = encode_image(made.image)
    sample = Sample(made.name, image, mask, (), made.label, made.group, "pasted", made.metadata)
    return [(image, data), (mask, encode_image(made.mask))], row_of(sample, out, sha256=sha256_bytes(data))


def _recorded(rows: list[dict[str, Any]], paster: Paster, out: Path) -> int:
    """How many items the folder holds; they must be the first ones of this paster."""
    for number, row in enumerate(rows):
        if (row.get("method"), row.get("seed"), row.get("index")) != (paster.method, paster.seed, number):
            raise UsageError(
                f"{out / NAME}: was begun with another method or seed (row {number + 1}); "
                "repeat those or choose another folder"
            )
    return len(rows)
