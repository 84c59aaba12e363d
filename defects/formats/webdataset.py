"""WebDataset: numbered tar files of `<key>.png`, `<key>.mask.png` and `<key>.json`; only written."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from defects.formats.listing import SPLITS, ExportRow, ExportRows
from defects.images.decode import encode_image
from engine.files.atomic import open_atomic, to_json

SHARD = 1000
"""Images of a tar file."""


def write(
    source: ExportRows, out: Path, *, on_progress: Callable[[int], object], workers: int = 2, shard: int = SHARD
) -> None:
    """Writes `<split>-000000.tar` and on, each whole or not at all; the same data set gives the same bytes.

    Raises:
        DataError: An image or mask does not open.
        OutputError: A file cannot be written.
    """

    def work(row: ExportRow) -> list[tuple[str, bytes]]:
        data, mask = row.read()
        columns = row.columns | {"width": mask.shape[1], "height": mask.shape[0], "name": row.name}
        return [
            (f"{row.flat}{row.suffix}", data),
            (f"{row.flat}.mask.png", encode_image(mask)),
            (f"{row.flat}.json", to_json(columns)),
        ]

    for split in SPLITS:
        rows = (row for row in source.rows if row.split == split)
        for number in range(-(-source.counts.get(split, 0) // shard)):
            members = islice(rows, shard)
            path = out / f"{split}-{number:06d}.tar"
            if path.is_file():
                on_progress(sum(1 for _ in members))
                continue
            with open_atomic(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for entries in source.map(work, members, workers):
                    for name, data in entries:
                        entry = tarfile.TarInfo(name)
                        entry.size, entry.mode = len(data), 0o644
                        tar.addfile(entry, io.BytesIO(data))
                    on_progress(1)
