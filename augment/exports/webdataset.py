"""WebDataset: numbered tar files of `<key>.png`, `<key>.mask.png` and `<key>.json`."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from augment.exports.rows import SPLITS, Folder, Row
from defects.images.decode import encode_image
from engine.files.atomic import open_atomic, to_json

SHARD = 1000
"""Images in a tar file."""

Members = list[tuple[str, bytes]]


def write_shards(
    folder: Folder, out: Path, *, on_progress: Callable[[int], object], workers: int = 2, shard: int = SHARD
) -> None:
    """Writes `<split>-000000.tar` and on, each whole or not at all; the same folder gives the same bytes.

    Raises:
        DataError: An image or mask does not open.
        OutputError: A file cannot be written.
    """

    def work(row: Row) -> Members:
        data, (height, width), mask = row.read()
        columns = row.columns | {"width": width, "height": height, "name": row.name}
        return [
            (f"{row.flat}.png", data),
            (f"{row.flat}.mask.png", encode_image(mask)),
            (f"{row.flat}.json", to_json(columns)),
        ]

    for split in SPLITS:
        rows = (row for row in folder.rows() if row.split == split)
        for number in range(-(-folder.counts.get(split, 0) // shard)):
            part = islice(rows, shard)
            path = out / f"{split}-{number:06d}.tar"
            if path.is_file():
                on_progress(sum(1 for _ in part))
                continue
            with open_atomic(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for members in folder.map(work, part, workers):
                    for name, data in members:
                        entry = tarfile.TarInfo(name)
                        entry.size, entry.mode = len(data), 0o644
                        tar.addfile(entry, io.BytesIO(data))
                    on_progress(1)
