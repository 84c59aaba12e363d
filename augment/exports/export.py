"""Which exports there are, and carrying them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from augment.exports.coco import write_coco
from augment.exports.plain import mvtec_left_out, write_mvtec, write_yolo
from augment.exports.rows import open_folder
from augment.exports.target import target
from augment.exports.webdataset import write_shards
from engine.config import nearest
from engine.errors import UsageError

FORMATS: dict[str, Callable[..., None]] = {
    "mvtec": write_mvtec,
    "coco": write_coco,
    "yolo": write_yolo,
    "webdataset": write_shards,
}


def export(
    root: Path,
    out: Path,
    formats: Sequence[str],
    *,
    resume: bool = False,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
) -> dict[str, Any]:
    """Writes `<out>/<format>/` for every format.

    Args:
        root: A folder that mix-defects wrote, or any sample folder.
        out: Where the folders of the formats go.
        formats: Of `FORMATS`.
        resume: Go on with an interrupted export.
        workers: Threads.
        on_progress: Told how many more images of all formats are done.

    Returns:
        Images, formats, and what MVTec AD has no place for.

    Raises:
        UsageError: A format is unknown or none is given.
        DataError: The folder cannot be read.
        OutputError: An output folder is not empty, or cannot be written.
    """
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"--to: unknown {name!r}; {nearest(name, FORMATS)}")
    if not formats:
        raise UsageError(f"--to: names no format; choose from {', '.join(FORMATS)}")
    folder = open_folder(root)
    result: dict[str, Any] = {"images": sum(folder.counts.values()), "splits": folder.counts, "formats": list(formats)}
    for name in dict.fromkeys(formats):
        with target(out / name, {"format": name, "manifest": folder.sha256}, resume=resume):
            FORMATS[name](folder, out / name, on_progress=on_progress or (lambda _: None), workers=workers)
    if "mvtec" in formats:
        result["mvtec_left_out"] = mvtec_left_out(folder)
    return result
