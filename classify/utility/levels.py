"""Synthetic sets of which every level and seed has its own, so that a generator has seen no more than its level has.

`write_levels` writes what a level has, for any generator to be trained on; `open_levels` opens what was made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from classify.utility.cells import Level, level_name
from classify.utility.sources import MadeSet, masks_from, open_made, refuse_test_images
from defects.image_files import read_bytes
from defects.images import encode_image, read_sample
from defects.manifest import row_of, write_manifest
from defects.sample import GOOD, Sample
from engine.errors import DataError, OutputError, UsageError
from engine.files import sha256_bytes, write_bytes

__all__ = ["is_template", "open_levels", "refuse_more_than_its_level", "write_levels"]

SHOTS, SEED = "{shots}", "{seed}"


def is_template(folder: Path) -> bool:
    """Whether a path stands for a folder of every level and seed, as `fakes/{shots}-{seed}` does."""
    return SHOTS in str(folder) or SEED in str(folder)


def filled(folder: Path, level: Level) -> Path:
    """The folder of a level.

    >>> filled(Path("fakes/{shots}-{seed}"), (5, 0)).as_posix()
    'fakes/5-0'
    """
    shots, seed = level
    return Path(str(folder).replace(SHOTS, level_name(shots)).replace(SEED, str(seed)))


def open_levels(name: str, folder: Path, levels: Iterable[Level]) -> dict[Level, MadeSet]:
    """Opens the folder of every level and seed.

    Raises:
        UsageError: Two levels would share a folder.
        DataError: One is missing, faulty, or shows no defect.
    """
    sets: dict[Level, MadeSet] = {}
    for level in levels:
        root = filled(folder, level)
        if any(root == other.root for other in sets.values()):
            raise UsageError(f"--synthetic {name}: {folder} is one folder for two levels; use {SHOTS} and {SEED}")
        sets[level] = open_made(name, root)
    return sets


def refuse_more_than_its_level(
    made: MadeSet, chosen: Sequence[Sample], real: Sequence[Sample], test: Sequence[Sample], hashes: Mapping[str, str]
) -> None:
    """Refuses a set that knows of a photograph which its level does not have: by training, or by a mask.

    Args:
        made: The set of the level.
        chosen: The defective photographs that the level has.
        real: All photographs.
        test: Those tested on.
        hashes: SHA-256 of each photograph's file by name.

    Raises:
        DataError: It does, or knows of a test image.
        UsageError: Its images are painted from the masks of test images.
    """
    refuse_test_images(made, test, hashes)
    own = {sample.name for sample in chosen}
    others = [sample for sample in real if sample.label != GOOD and sample.name not in own]
    seen = made.provenance.train_sha256 if made.provenance is not None else frozenset()
    known = [sample.name for sample in others if hashes[sample.name] in seen]
    painted = sorted({name for name in masks_from(made, real) if name is not None} - own)
    for names, how in ((known, "its generator was trained on"), (painted, "its images are painted from the masks of")):
        if names:
            raise DataError(
                f"{made.root}: {how} {len(names)} defective photographs that its level does not have, such as "
                f"{names[0]}; train and draw from the folder that --write-levels writes for it"
            )


def write_levels(levels: Iterable[tuple[Level, Sequence[Sample], Sequence[Sample]]], out: Path) -> Iterator[Path]:
    """Writes what each level has as a sample folder, for `train-gan`; its `masks` are for `gen-defects --masks`.

    Photographs are copied byte for byte and keep their names, so that a generator's memory of them can be compared.

    Args:
        levels: Each with its defective and its good photographs.
        out: A folder `{shots}-{seed}` of each is written in it.

    Yields:
        Every folder, once it is whole.

    Raises:
        DataError: An image or its mask does not open.
        OutputError: A folder is there already, or cannot be written.
    """
    for level, defective, good in levels:
        root = filled(out / f"{SHOTS}-{SEED}", level)
        if root.exists():
            raise OutputError(f"{root}: is there already; choose another folder for --write-levels")
        rows = []
        for sample in [*defective, *good]:
            image, data = root / "images" / f"{sample.name}{sample.image.suffix}", read_bytes(sample.image)
            write_bytes(image, data)
            mask = None
            if sample.label != GOOD:
                mask = root / "masks" / sample.label / f"{sample.name.replace('/', '_')}.png"
                pixels = read_sample(sample)[1]
                write_bytes(mask, encode_image(pixels[..., None].astype(np.uint8) * 255, "png"))
            copy = Sample(sample.name, image, mask, (), sample.label, sample.group, sample.source)
            rows.append(row_of(copy, root, sha256=sha256_bytes(data)))
        write_manifest(root, rows)
        yield root
