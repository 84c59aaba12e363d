"""Pasted images of a few-shot split: from its own training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from augment.pasting.images import ImageReader
from augment.pasting.paster import PastedImage, Paster
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
_CACHE_BYTES = 512 * 1024 * 1024


def pasted_images(
    bench: Bench,
    defective: Sequence[Sample],
    good: Sequence[Sample],
    seed: int,
    count: int,
    reader: ImageReader | None = None,
) -> Iterator[PastedImage]:
    """`count` pasted images; the first ones are the same for every count.

    A defect that fits into no good image, such as one as large as the image, is skipped.

    Args:
        bench: What is compared.
        defective: Images to cut defects out of.
        good: Images or crops to paste into.
        seed: Another seed, other images.
        count: How many.
        reader: Of the images (`image_reader`), to share what is decoded.

    Raises:
        DataError: Hardly any defect fits into the good images.
    """
    paster = _paster(bench, defective, good, seed, reader)
    index, misses = 0, 0
    while count:
        try:
            pasted = paster.make(index)
        except DataError:
            misses += 1
            if misses > _MISSES:
                raise
        else:
            misses, count = 0, count - 1
            yield pasted
        index += 1


def pasted_folder(
    root: Path, bench: Bench, defective: Sequence[Sample], good: Sequence[Sample], seed: int, count: int
) -> list[Sample]:
    """The same as files, in a folder of `root` named by a hash of their inputs; written once.

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
        for pasted in pasted_images(bench, defective, good, seed, count):
            image, mask = folder / "images" / f"{pasted.name}.png", folder / "masks" / f"{pasted.name}.png"
            data = encode_image(pasted.image)
            files += [(image, data), (mask, encode_image(pasted.mask))]
            sample = Sample(pasted.name, image, mask, (), pasted.label, pasted.group, "pasted", pasted.metadata)
            rows.append((sample, sha256_bytes(data)))
        write_many(files)
        write_manifest(folder, [row_of(sample, folder, sha256=digest) for sample, digest in rows])
    return open_dataset(folder).samples


def _content(sample: Sample, bench: Bench) -> str:
    """The content hash of an image or a crop."""
    box = sample.metadata.get("square")
    return bench.hashes[sample.name] if box is None else f"{sample.metadata['sha256']}@{box}"


def image_reader(bench: Bench) -> ImageReader:
    """Reads the images of all few-shot splits, so that none is decoded for each again."""
    return ImageReader(_crop_spec(bench), max_bytes=_CACHE_BYTES)


def _crop_spec(bench: Bench) -> CropSpec:
    settings = bench.settings
    return CropSpec(settings.size, settings.crop, settings.channels)


def _paster(
    bench: Bench,
    defective: Sequence[Sample],
    good: Sequence[Sample],
    seed: int,
    reader: ImageReader | None = None,
) -> Paster:
    method, own = bench.request.pasted or "alpha", seed_for(seed, "utility", "paste") % 2**31
    return Paster(defective, good, method=method, seed=own, crop_spec=_crop_spec(bench), reader=reader)
