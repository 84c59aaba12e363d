"""Held-out photographs that made images know of, told by checksums: what a generator saw, what was pasted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from augment.mixer.dropped import Dropped
from augment.mixer.sources import Source
from defects.sample import Sample
from engine.errors import DataError
from engine.files import sha256_file

__all__ = ["held_out_masks", "image_hashes", "pasted_from", "refuse_seen", "same_files"]

_NAMED = 3


def image_hashes(samples: Sequence[Sample]) -> dict[str, str]:
    """SHA-256 of every image file, by sample name; read, not taken from a manifest.

    Raises:
        DataError: A file cannot be read.
    """

    def read(sample: Sample) -> str:
        try:
            return sha256_file(sample.image)
        except OSError as error:
            raise DataError(f"{sample.image}: {error.strerror}; restore it or check its permissions") from None

    with ThreadPoolExecutor(4) as pool:
        return dict(zip((s.name for s in samples), pool.map(read, samples), strict=True))


def refuse_seen(source: Source, held: Sequence[Sample], hashes: Mapping[str, str]) -> None:
    """Refuses a synthetic folder whose generator was trained on held-out photographs.

    Raises:
        DataError: It was; what to do is named.
    """
    if source.provenance is None:
        return
    seen = [sample.name for sample in held if hashes[sample.name] in source.provenance.train_sha256]
    if seen:
        raise DataError(
            f"{source.root}: its generator was trained on {len(seen)} of the {len(held)} images held out for "
            f"validation and test, such as {', '.join(seen[:_NAMED])}; split as the generator did by "
            f"--split-from {source.root}/generator.json, or train it again without them"
        )


def pasted_from(source: Source, held: Mapping[str, str]) -> list[Dropped]:
    """Pasted images whose ground or defect is a held-out photograph.

    Args:
        source: The pasted folder; its columns `ground` and `defect` name what they are made of.
        held: Name of every held-out photograph by SHA-256.
    """
    found = []
    for sample in source.samples:
        for part in ("ground", "defect"):
            origin = sample.metadata.get(part)
            name = held.get(str(origin.get("sha256"))) if isinstance(origin, Mapping) else None
            if name is not None:
                found.append(Dropped(source.name, sample.name, "held-out", f"its {part} is the held-out {name}"))
                break
    return found


def same_files(
    source: str, samples: Sequence[Sample], own: Mapping[str, str], held: Mapping[str, str]
) -> list[Dropped]:
    """Images that are, byte for byte, files of held-out photographs."""
    return [
        Dropped(source, sample.name, "held-out", f"is the file of the held-out {held[own[sample.name]]}")
        for sample in samples
        if own.get(sample.name) in held
    ]


def held_out_masks(source: Source, held: Sequence[Sample]) -> list[str]:
    """Names of synthetic images painted from the mask of a held-out photograph, as their `mask_source` tells."""
    masks = {sample.mask.stem for sample in held if sample.mask is not None}
    names = {sample.name for sample in held}
    found = []
    for sample in source.samples:
        mask = str(sample.metadata.get("mask_source") or "")
        stem = mask.rpartition("/")[2].rpartition(".")[0]
        if mask.rpartition(".")[0] in names or (len(stem) > 4 and stem in masks):
            found.append(sample.name)
    return found
