"""Pasted images as a sample folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from augment.pasting.paster import PastedImage, Paster
from defects.images.decode import encode_image
from defects.manifest import NAME, row_of
from defects.sample import Sample
from engine.files.atomic import sha256_bytes
from engine.run.sample_folder import Item, WriteJob, open_sample_folder


def write_pasted(
    out: Path,
    paster: Paster,
    count: int,
    *,
    resume: bool = False,
    on_progress: Callable[[int], object] | None = None,
) -> int:
    """Writes the first `count` items: `images/`, `masks/` and, after the files, rows of `metadata.jsonl`.

    Args:
        out: the folder.
        paster: pastes the items.
        count: number of items in the complete folder.
        resume: continue a folder begun with the same method, seed and samples.
        on_progress: called with the number of items completed since the last call.

    Returns:
        The number of images written now.

    Raises:
        OutputError: the folder is not empty, in use or cannot be written.
        DataError: resumed with another method or seed; an image does not open or no defect fits.
    """

    def names(number: int) -> tuple[str, str]:
        name = paster.name_of(number)
        return f"images/{name}.png", f"masks/{name}.png"

    def make(_: range, needed: Sequence[int]) -> list[Item]:
        return [_encode(out, number, names(number), paster.make(number)) for number in needed]

    with open_sample_folder(out, None, resume=resume, manifest=NAME) as folder:
        job = WriteJob(count, names, make)
        # One thread: the images of a reader's cache are shared by neighboring items.
        return folder.write(job, folder.recorded(job), workers=1, on_progress=on_progress)


def _encode(out: Path, number: int, names: tuple[str, str], pasted: PastedImage) -> Item:
    image, mask = names
    data = encode_image(pasted.image)
    sample = Sample(
        pasted.name, out / image, out / mask, (), pasted.label, pasted.group, "pasted", pasted.metadata
    )  # fmt: skip
    row = row_of(sample, out, sha256=sha256_bytes(data))
    return Item(number, {image: data, mask: encode_image(pasted.mask)}, row)
