"""The leak check: no training image may be a near-duplicate of a held-out image, or derive from one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augment.leakage.near_duplicates import MIN_CROP_SIMILARITY, ReferenceImages, Similarity, calibrated_threshold
from augment.mixing.sources import Cropper, Dropped, Source
from defects.images.decode import image_info
from defects.sample import Sample
from engine.errors import DataError
from engine.files.atomic import from_json, sha256_bytes, to_json

_VERSION = 2
_FOR_CALIBRATION = 200
_EXAMPLES = 3


@dataclass(frozen=True)
class NearDuplicates:
    """The result of a search for near-duplicates.

    Attributes:
        drops: Near-duplicates of held-out images.
        threshold: Similarity above which an image counts as one.
        record: The similarities of all images, as JSON, so that a resumed run need not compute them again.
    """

    drops: list[Dropped]
    threshold: float
    record: dict[str, Any]


def _read_record(path: Path | None, key: str) -> list[list[Similarity]] | None:
    """The similarities recorded for the same images, of images and of crops; None where there are none."""
    if path is None:
        return None
    try:
        content = from_json(path.read_bytes())
        if content["key"] != key:
            return None
        return [[Similarity(str(n), float(v)) for n, v in pairs] for pairs in (content["found"], content["pieces"])]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_near_duplicates(
    train: Sequence[Sample],
    training_only: Mapping[str, Sequence[Sample]],
    held_out: Sequence[Sample],
    *,
    hashes: Mapping[str, str],
    cropper: Cropper | None = None,
    workers: int = 2,
    on_progress: Callable[[int], object] | None = None,
    record: Path | None = None,
) -> NearDuplicates:
    """Finds training images that are near-duplicates of a held-out image, or of a region of one.

    Whole images are compared. Where crops are taken from far larger images, images of the size of a crop are compared
    with crops of the held-out images too, at the scale of the crops.

    Args:
        train: Real training images, of other groups than the held-out ones.
        training_only: Synthetic and pasted images by the name of their folder.
        held_out: Images of validation and test.
        hashes: SHA-256 of every file involved, by its path.
        cropper: How the images are cropped.
        workers: Threads.
        on_progress: Called with the number of images compared since the last call.
        record: File with the record of an earlier check.

    Raises:
        DataError: An image does not open.
    """
    if not held_out:
        return NearDuplicates([], 1.0, {})
    queries = [("real", sample) for sample in train]
    queries += [(name, sample) for name, samples in training_only.items() for sample in samples]
    crop = cropper.crop_spec.crop if cropper is not None and cropper.crop_spec is not None else None
    order = [[name, hashes[str(sample.image)]] for name, sample in queries]
    key = sha256_bytes(to_json([_VERSION, crop, [[s.name, hashes[str(s.image)]] for s in held_out], order]))
    small = [pair for pair in queries if crop is not None and min(image_info(pair[1].image).upright) <= 2 * crop]
    for_calibration = train[:: max(1, len(train) // _FOR_CALIBRATION)]
    known = _read_record(record, key)
    if known is None:
        references = ReferenceImages(held_out, workers=workers)
        of_images = list(references.compare((s for _, s in queries), workers=workers, on_progress=on_progress))
        of_crops: list[Similarity] = []
        if small and cropper is not None:
            references = ReferenceImages(held_out, crop=crop, workers=workers)
            of_crops = list(references.compare((s for _, s in small), workers=workers))
            of_crops += references.compare(for_calibration, read=lambda s: cropper.read(s)[0], workers=workers)
        known = [[Similarity(each.name, round(each.value, 6)) for each in some] for some in (of_images, of_crops)]
    of_images, of_crops = known
    searches = [(queries, of_images, calibrated_threshold([each.value for each in of_images[: len(train)]]))]
    if of_crops:
        of_real = [each.value for each in of_crops[len(small) :]]
        searches.append((small, of_crops[: len(small)], calibrated_threshold(of_real, MIN_CROP_SIMILARITY)))
    drops: dict[tuple[str, str], Dropped] = {}
    for some, similarities, threshold in searches:
        for (name, sample), each in zip(some, similarities, strict=True):
            if each.value > threshold:
                detail = f"near-duplicate of the held-out {each.name} (similarity {each.value:.2f})"
                drops.setdefault((name, sample.name), Dropped(name, sample.name, "held-out", detail))
    stored = {
        "key": key,
        "found": [[e.name, e.value] for e in of_images],
        "pieces": [[e.name, e.value] for e in of_crops],
    }
    return NearDuplicates(list(drops.values()), searches[0][2], stored)


def check_leaks(drops: Sequence[Dropped]) -> None:
    """Raises an error for training images that leak.

    Raises:
        DataError: There are any.
    """
    if drops:
        named = "; ".join(f"{drop.source}/{drop.name}: {drop.detail}" for drop in drops[:_EXAMPLES])
        more = f"; and {len(drops) - _EXAMPLES} more" if len(drops) > _EXAMPLES else ""
        raise DataError(
            f"{len(drops)} training images leak held-out images: {named}{more}; "
            "remove them, or add --drop-near-duplicates to leave them out",
            code="E-mix-leak",
        )


def check_generator(source: Source, held_out: Sequence[Sample], hashes: Mapping[str, str]) -> None:
    """Raises an error for a synthetic folder whose generator was trained on held-out images.

    Raises:
        DataError: It was.
    """
    if source.provenance is None:
        return
    trained = [sample.name for sample in held_out if hashes[sample.name] in source.provenance.train_sha256]
    if trained:
        raise DataError(
            f"{source.root}: its generator was trained on {len(trained)} of the {len(held_out)} images held out for "
            f"validation and test, such as {', '.join(trained[:_EXAMPLES])}; use the split of the generator by "
            f"--split-from {source.root}/generator.json, or train it again without them",
            code="E-mix-generator-leak",
        )


def pasted_leaks(source: Source, held_out: Mapping[str, str]) -> list[Dropped]:
    """Pasted images whose background or defect is a held-out image.

    Args:
        source: The pasted folder; its columns `ground` and `defect` name the images it was pasted from.
        held_out: Name of every held-out image by SHA-256.
    """
    drops = []
    for sample in source.samples:
        for column, role in (("ground", "background"), ("defect", "defect")):
            origin = sample.metadata.get(column)
            name = held_out.get(str(origin.get("sha256"))) if isinstance(origin, Mapping) else None
            if name is not None:
                drops.append(Dropped(source.name, sample.name, "held-out", f"its {role} is the held-out {name}"))
                break
    return drops


def identical_files(
    source: str, samples: Sequence[Sample], hashes: Mapping[str, str], held_out: Mapping[str, str]
) -> list[Dropped]:
    """Images that are, byte for byte, files of held-out images."""
    return [
        Dropped(source, sample.name, "held-out", f"is the file of the held-out {held_out[hashes[sample.name]]}")
        for sample in samples
        if hashes.get(sample.name) in held_out
    ]


def from_held_out_masks(source: Source, held_out: Sequence[Sample]) -> list[str]:
    """Names of synthetic images generated from the mask of a held-out image, by their `mask_source`."""
    masks = {sample.mask.stem for sample in held_out if sample.mask is not None}
    names = {sample.name for sample in held_out}
    generated = []
    for sample in source.samples:
        mask = str(sample.metadata.get("mask_source") or "")
        stem = mask.rpartition("/")[2].rpartition(".")[0]
        if mask.rpartition(".")[0] in names or (len(stem) > 4 and stem in masks):
            generated.append(sample.name)
    return generated
