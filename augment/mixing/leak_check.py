"""The leak check: nothing that trains may show a photograph that is held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augment.leakage.near_duplicates import LEAST_PIECE, Likeness, References, calibrated
from augment.mixing.sources import Cutter, Dropped, Source
from defects.images.header import image_info
from defects.sample import Sample
from engine.errors import DataError
from engine.files.atomic import from_json, sha256_bytes, sha256_file, to_json

_VERSION = 2
_FOR_CALIBRATION = 200
_NAMED = 3


@dataclass(frozen=True)
class Findings:
    """What a leak check found.

    Attributes:
        drops: Images that show a held-out photograph.
        least: Likeness from which on they count as copies.
        record: The likenesses of all images, as JSON; `recall` reads it, so that a resumed run need not look again.
    """

    drops: list[Dropped]
    least: float
    record: dict[str, Any]


def recall(path: Path | None, key: str) -> list[list[Likeness]] | None:
    """The likenesses recorded in a file for the same images, for each way of looking; None where there are none."""
    if path is None:
        return None
    try:
        content = from_json(path.read_bytes())
        if content["key"] != key:
            return None
        return [[Likeness(str(n), float(v)) for n, v in found] for found in (content["found"], content["pieces"])]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_copies(
    train: Sequence[Sample],
    made: Mapping[str, Sequence[Sample]],
    held: Sequence[Sample],
    *,
    hashes: Mapping[str, str],
    cutter: Cutter | None = None,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
    memory: Path | None = None,
) -> Findings:
    """Images that show a held-out photograph, or a part of one.

    Photographs are compared as a whole. Where squares are cut out of far larger photographs, pictures of a square's
    size are compared with pieces of the photographs too, at the scale at which squares see them.

    Args:
        train: Training photographs, of other groups than the held-out ones.
        made: Synthetic and pasted images by the name of their folder.
        held: Photographs of validation and test.
        hashes: SHA-256 of every file involved, by its path.
        cutter: How photographs are cut.
        workers: Threads.
        on_progress: Told how many more images were compared.
        memory: File with the record of an earlier check.

    Raises:
        DataError: An image does not open.
    """
    if not held:
        return Findings([], 1.0, {})
    suspects = [("real", sample) for sample in train]
    suspects += [(name, sample) for name, samples in made.items() for sample in samples]
    window = cutter.crop_spec.crop if cutter is not None and cutter.crop_spec is not None else None
    order = [[name, hashes[str(sample.image)]] for name, sample in suspects]
    key = sha256_bytes(to_json([_VERSION, window, [[s.name, hashes[str(s.image)]] for s in held], order]))
    small = [pair for pair in suspects if window is not None and min(image_info(pair[1].image).upright) <= 2 * window]
    sample_of_train = train[:: max(1, len(train) // _FOR_CALIBRATION)]
    known = recall(memory, key)
    if known is None:
        references = References(held, workers=workers)
        whole = list(references.compare((s for _, s in suspects), workers=workers, on_progress=on_progress))
        pieces: list[Likeness] = []
        if small and cutter is not None:
            references = References(held, piece=window, workers=workers)
            pieces = list(references.compare((s for _, s in small), workers=workers))
            pieces += references.compare(sample_of_train, read=lambda s: cutter.read(s)[0], workers=workers)
        known = [[Likeness(each.name, round(each.value, 6)) for each in some] for some in (whole, pieces)]
    whole, pieces = known
    searches = [(suspects, whole, calibrated([each.value for each in whole[: len(train)]]))]
    if pieces:
        others = [each.value for each in pieces[len(small) :]]
        searches.append((small, pieces[: len(small)], calibrated(others, LEAST_PIECE)))
    drops: dict[tuple[str, str], Dropped] = {}
    for some, found, least in searches:
        for (name, sample), each in zip(some, found, strict=True):
            if each.value > least:
                detail = f"shows the held-out {each.name} (likeness {each.value:.2f})"
                drops.setdefault((name, sample.name), Dropped(name, sample.name, "held-out", detail))
    record = {"key": key, "found": [[e.name, e.value] for e in whole], "pieces": [[e.name, e.value] for e in pieces]}
    return Findings(list(drops.values()), searches[0][2], record)


def refuse(drops: Sequence[Dropped]) -> None:
    """Says what leaks, and what to do.

    Raises:
        DataError: Something does.
    """
    if drops:
        named = "; ".join(f"{drop.source}/{drop.name} {drop.detail}" for drop in drops[:_NAMED])
        more = f"; and {len(drops) - _NAMED} more" if len(drops) > _NAMED else ""
        raise DataError(
            f"{len(drops)} training images show held-out photographs: {named}{more}; "
            "remove them, or add --drop-copies to leave them out"
        )


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
