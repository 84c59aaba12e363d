"""Pasted images of a few-shot level: made from its own training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from augment.pasting.images import Photographs
from augment.pasting.paster import Made, Paster
from classify.utility.design.bench import Bench
from defects.formats.dataset import open_dataset
from defects.images.crops import CropSpec
from defects.images.decode import encode_image
from defects.manifest import NAME, row_of, write_manifest
from defects.sample import Sample
from engine.errors import DataError
from engine.files.atomic import sha256_bytes, to_json, write_many
from engine.seeding import seed_for

_MISSES = 60
_KEPT_BYTES = 512 * 1024 * 1024


def pasted_images(
    bench: Bench,
    defective: Sequence[Sample],
    good: Sequence[Sample],
    seed: int,
    count: int,
    photographs: Photographs | None = None,
) -> Iterator[Made]:
    """`count` pasted images; the first ones are the same for every count.

    A defect that fits into none of the good images that are tried, such as one as large as the image, is passed over.

    Args:
        bench: What is compared.
        defective: Photographs to cut defects out of.
        good: Photographs or squares to paste into.
        seed: Another seed, other images.
        count: How many.
        photographs: What reads them (`photographs_read`), to share what is decoded.

    Raises:
        DataError: Hardly any defect fits into the good images.
    """
    paster = _paster(bench, defective, good, seed, photographs)
    index, misses = 0, 0
    while count:
        try:
            made = paster.make(index)
        except DataError:
            misses += 1
            if misses > _MISSES:
                raise
        else:
            misses, count = 0, count - 1
            yield made
        index += 1


def pasted_folder(
    root: Path, bench: Bench, defective: Sequence[Sample], good: Sequence[Sample], seed: int, count: int
) -> list[Sample]:
    """The same as files, in a folder of `root` named after what decides them; written once.

    Raises:
        DataError: Hardly any defect fits into the good images.
        OutputError: The folder cannot be written.
    """
    paster = _paster(bench, defective, good, seed)
    names = [_content(sample, bench) for sample in [*defective, *good]]
    content = [paster.method, paster.seed, vars(paster.crop_spec), names, count]
    folder = root / sha256_bytes(to_json(content))[:16]
    if not (folder / NAME).is_file():
        rows = []
        files: list[tuple[Path, bytes]] = []
        for made in pasted_images(bench, defective, good, seed, count):
            image, mask = folder / "images" / f"{made.name}.png", folder / "masks" / f"{made.name}.png"
            data = encode_image(made.image)
            files += [(image, data), (mask, encode_image(made.mask))]
            sample = Sample(made.name, image, mask, (), made.label, made.group, "pasted", made.metadata)
            rows.append((sample, sha256_bytes(data)))
        write_many(files)
        write_manifest(folder, [row_of(sample, folder, sha256=digest) for sample, digest in rows])
    return open_dataset(folder).samples


def _content(sample: Sample, bench: Bench) -> str:
    """What a photograph or a square of one is known by."""
    square = sample.metadata.get("square")
    return bench.hashes[sample.name] if square is None else f"{sample.metadata['sha256']}@{square}"


def photographs_read(bench: Bench) -> Photographs:
    """What reads the photographs of all levels and seeds, so that none is decoded for each again."""
    return Photographs(_crop_spec(bench), most=_KEPT_BYTES)


def _crop_spec(bench: Bench) -> CropSpec:
    settings = bench.settings
    return CropSpec(settings.size, settings.window, settings.channels)


def _paster(
    bench: Bench,
    defective: Sequence[Sample],
    good: Sequence[Sample],
    seed: int,
    photographs: Photographs | None = None,
) -> Paster:
    method, own = bench.request.pasted or "alpha", seed_for(seed, "utility", "paste") % 2**31
    return Paster(defective, good, method=method, seed=own, crop_spec=_crop_spec(bench), photographs=photographs)
