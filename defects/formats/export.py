"""Writing a data set in another format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defects.formats import coco, folders, labelme, mvtec_ad, sample_folder, webdataset, yolo
from defects.formats.dataset import Dataset
from defects.formats.listing import ExportRows
from defects.manifest import NAME as MANIFEST
from defects.manifest import read_manifest
from defects.sample import Sample
from engine.config import nearest
from engine.errors import OutputError, UsageError
from engine.files.atomic import from_json, remove_temporaries, sha256_bytes, sha256_file, to_json, write_json
from engine.files.json_lines import LOCK_NAME, lock_folder

NAME = "export.json"

FORMATS: dict[str, Callable[..., None]] = {
    "sample_folder": sample_folder.write,
    "folders": folders.write,
    "bsdata": labelme.write,
    "mvtec": mvtec_ad.write,
    "coco": coco.write,
    "yolo": yolo.write,
    "webdataset": webdataset.write,
}


@dataclass(frozen=True)
class ExportResult:
    """What an export wrote.

    Attributes:
        images: Number of images of the data set.
        splits: Images by split.
        formats: Names of the formats.
        mvtec_left_out: Images by split that MVTec AD has no place for; None where it was not written.
    """

    images: int
    splits: dict[str, int]
    formats: list[str]
    mvtec_left_out: dict[str, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        rest = {} if self.mvtec_left_out is None else {"mvtec_left_out": self.mvtec_left_out}
        return {"images": self.images, "splits": self.splits, "formats": self.formats, **rest}


def export(
    data: Dataset,
    out: str | Path,
    format: str | Sequence[str] = "coco",
    *,
    resume: bool = False,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
) -> ExportResult:
    """Writes a data set in another format.

    Args:
        data: An opened data set of any layout; the `split` of a sample is written where the format has splits.
        out: The folder to write; for several formats, a folder for each of them is written in it.
        format: A key of `FORMATS`, or several.
        resume: Continue an interrupted export.
        workers: Threads.
        on_progress: Called with the number of images of all formats written since the last call.

    Raises:
        UsageError: A format is unknown or none is given.
        DataError: An image does not open, or two would get the same file name.
        OutputError: An output folder is not empty, or cannot be written.
    """
    names = [format] if isinstance(format, str) else list(dict.fromkeys(format))
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"unknown format {name!r}; {nearest(name, FORMATS)}", code="E-export-unknown-format")
    if not names:
        raise UsageError(f"no format is given; choose from {', '.join(FORMATS)}", code="E-export-no-format")
    source = ExportRows.of(data.root, _in_written_order(data))
    for name in names:
        folder = Path(out) if isinstance(format, str) else Path(out) / name
        with _export_folder(folder, {"format": name, "manifest": _fingerprint(data)}, resume=resume):
            FORMATS[name](source, folder, on_progress=on_progress or (lambda _: None), workers=workers)
    left_out = mvtec_ad.left_out(source) if "mvtec" in names else None
    return ExportResult(len(source.rows), source.counts, names, left_out)


def _in_written_order(data: Dataset) -> list[Sample]:
    """The samples in the order of the manifest, by which numbers and shards of an export go; by name without one."""
    if data.layout != "sample_folder":
        return data.samples
    position = {sample.name: number for number, sample in enumerate(read_manifest(data.root)[0])}
    return sorted(data.samples, key=lambda sample: position.get(sample.name, len(position)))


def _fingerprint(data: Dataset) -> str:
    """SHA-256 of the manifest, or of names and sizes of the images where there is none."""
    if (data.root / MANIFEST).is_file():
        return sha256_file(data.root / MANIFEST)
    return sha256_bytes(to_json([[sample.name, sample.image.stat().st_size] for sample in data.samples]))


@contextmanager
def _export_folder(out: Path, description: dict[str, object], *, resume: bool) -> Iterator[None]:
    """Locks the folder of an export while the block runs.

    Raises:
        OutputError: The folder is in use, is not empty and `resume` is not set, or is of another export.
    """
    with lock_folder(out):
        remove_temporaries(out)
        entries = [entry.name for entry in out.iterdir() if entry.name != LOCK_NAME]
        if entries and not resume:
            what = f"{out}: is not empty; add --resume to continue it, or choose another folder"
            raise OutputError(what, code="E-export-not-empty")
        if entries:
            try:
                before = from_json((out / NAME).read_bytes())
            except (OSError, ValueError):
                before = None
            if before != json.loads(json.dumps(description)):
                what = f"{out}: is the folder of another export; choose another folder"
                raise OutputError(what, code="E-export-other-folder")
        else:
            write_json(out / NAME, description)
        yield
