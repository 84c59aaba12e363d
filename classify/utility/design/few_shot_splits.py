"""Synthetic sets of which every level and seed has its own, so that a generator has seen no more than its level has.

`write_levels` writes what a level has, for any generator to be trained on; `open_levels` opens what was made of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from classify.utility.design.sources import MadeSet, masks_from, open_made, origins_of
from classify.utility.design.trials import Level, level_name
from defects.images.decode import encode_image, read_sample
from defects.images.header import read_bytes
from defects.manifest import NAME, read_manifest, row_of, write_manifest
from defects.sample import GOOD, Sample
from engine.errors import DataError, OutputError, UsageError
from engine.files.atomic import inside, output_errors, sha256_bytes, write_bytes
from engine.files.json_lines import lock_folder

SHOTS, SEED = "{shots}", "{seed}"

Has = tuple[Level, Sequence[Sample], Sequence[Sample]]
"""A level with its defective and its good photographs."""


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
    made: MadeSet, chosen: Sequence[Sample], good: Sequence[Sample], real: Sequence[Sample], hashes: Mapping[str, str]
) -> None:
    """Refuses a set that knows of a photograph which its level does not have.

    By its generator's training, by what its images were drawn into or pasted from, byte for byte, or by a mask.

    Args:
        made: The set of the level.
        chosen: The defective photographs that the level has.
        good: The good photographs that it has.
        real: All photographs.
        hashes: SHA-256 of each photograph's file by name.

    Raises:
        DataError: It does, or its generator was trained on something else.
    """
    has = {hashes[sample.name] for sample in [*chosen, *good]}
    others = {hashes[sample.name]: sample.name for sample in real if hashes[sample.name] not in has}
    own = {sample.name for sample in chosen}
    origin = made.provenance
    seen = origin.train_sha256 if origin is not None else frozenset()
    defective = [sample for sample in real if sample.label != GOOD]
    painted = {name for name in masks_from(made, defective) if name is not None} - own
    for names, how in (
        (sorted(others[digest] for digest in seen if digest in others), "its generator was trained on"),
        (sorted({others[digest] for digest in origins_of(made) if digest in others}), "its images are drawn into"),
        (sorted({others[digest] for digest in made.hashes if digest in others}), "it holds copies of"),
        (sorted(painted), "its images are painted from the masks of"),
    ):
        if names:
            raise DataError(
                f"{made.root}: {how} {len(names)} photographs that its level does not have, such as {names[0]}; "
                "train and draw from the folder that --write-levels writes for it"
            )
    if seen and not seen & {hashes[sample.name] for sample in chosen}:
        raise DataError(
            f"{made.root}: its generator was trained on none of its level's defective photographs; "
            "train it on the folder that --write-levels writes for it"
        )
    if seen and origin is not None and (origin.defective or 0) > len(chosen):
        raise DataError(
            f"{made.root}: its generator was trained on {origin.defective} defective images, its level has "
            f"{len(chosen)}; train it on the folder that --write-levels writes for it"
        )


def write_levels(
    levels: Sequence[Has], out: Path, hashes: Mapping[str, str], *, resume: bool = False
) -> Iterator[Path]:
    """Writes what each level has as a sample folder, for `train-gan`; its `masks` are for `gen-defects --masks`.

    Photographs are copied byte for byte and keep their names, so that a generator's memory of them can be compared.
    Published sets hold defective photographs whose masks are empty; these are left out, no generator can use them.
    A folder gets its name once it is whole.

    Args:
        levels: What they have.
        out: A folder `{shots}-{seed}` of each is written in it.
        hashes: SHA-256 of each photograph's file by name.
        resume: Leave those that are there, if they hold what they should.

    Yields:
        Every folder, once it is whole.

    Raises:
        DataError: An image or its mask does not open, or a defective one has no mask.
        OutputError: A folder is there already, or was written with other settings, or cannot be written.
    """
    roots = [filled(out / f"{SHOTS}-{SEED}", level) for level, _, _ in levels]
    there = [root for root in roots if root.exists()]
    if there and not resume:
        raise OutputError(f"{there[0]}: is there already; add --resume, or choose another folder for --write-levels")
    blind = [sample.name for _, defective, _ in levels for sample in defective if not sample.has_pixels]
    if blind:
        raise DataError(f"--write-levels: {blind[0]} has no mask, which generators need; give masks")
    for root, (_, defective, good) in zip(roots, levels, strict=True):
        if root in there and not _holds(root, defective, good, hashes):
            raise OutputError(
                f"{root}: holds other photographs than its level; choose another folder for --write-levels"
            )
    with lock_folder(out):
        for root, (_, defective, good) in zip(roots, levels, strict=True):
            if root not in there:
                begun = root.with_name(f".{root.name}.part")
                with output_errors(begun):
                    shutil.rmtree(begun, ignore_errors=True)
                    _write(begun, [*defective, *good])
                    begun.rename(root)
            yield root


def _holds(root: Path, defective: Sequence[Sample], good: Sequence[Sample], hashes: Mapping[str, str]) -> bool:
    """Whether a folder holds the photographs of a level; defective ones with an empty mask may be missing."""
    if not (root / NAME).is_file():
        return False
    samples, issues = read_manifest(root)
    own = {(sample.name, sample.metadata.get("sha256")) for sample in samples}
    least, more = ({(sample.name, hashes[sample.name]) for sample in part} for part in (good, defective))
    return not issues and least <= own <= least | more


def _write(root: Path, samples: Sequence[Sample]) -> None:
    rows, masks = [], set()
    for sample in samples:
        mask = None
        if sample.label != GOOD:
            pixels = read_sample(sample)[1]
            if not pixels.any():
                continue
            mask = inside(root, f"masks/{sample.label}/{sample.name.replace('/', '_')}.png")
            if mask in masks:
                raise DataError(f"{sample.image}: another photograph's mask would have its name; rename one of them")
            masks.add(mask)
            write_bytes(mask, encode_image(pixels[..., None].astype(np.uint8) * 255, "png"))
        image, data = inside(root, f"images/{sample.name}{sample.image.suffix}"), read_bytes(sample.image)
        write_bytes(image, data)
        told = {key: value for key, value in sample.metadata.items() if key not in ("rle", "sha256")}
        copy = Sample(sample.name, image, mask, (), sample.label, sample.group, sample.source, told)
        rows.append(row_of(copy, root, sha256=sha256_bytes(data)))
    write_manifest(root, rows)
