"""No image that is learnt from may be one that is tested on: by name, by file and by what an image was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from defects.provenance import read_provenance
from defects.sample import Sample
from engine.errors import DataError
from engine.files.atomic import sha256_file

REAL = ("real", "procedural")
"""Sources that may be validated and tested on."""

_NAMED = 3


def hashes_of(samples: Iterable[Sample]) -> dict[str, str]:
    """SHA-256 of every image file by its path, read anew.

    Raises:
        DataError: a file cannot be read.
    """

    def digest(path: Path) -> str:
        try:
            return sha256_file(path)
        except OSError as error:
            line = f"{path}: {error.strerror}; restore it or check its permissions"
            raise DataError(line) from None

    paths = list(dict.fromkeys(sample.image for sample in samples))
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(map(str, paths), pool.map(digest, paths), strict=True))


def originals(samples: Iterable[Sample]) -> set[str]:
    """SHA-256 of the photographs that a mixture's squares were cut from, where their rows say it."""
    return {str(digest) for sample in samples if (digest := sample.metadata.get("original_sha256"))}


def check_training(train: Sequence[Sample], held: Sequence[Sample], root: Path, hashes: Mapping[str, str]) -> None:
    """Makes sure that nothing held out is trained on, neither itself nor as what another image was made from.

    Args:
        train: photographs and made images.
        held: photographs of validation and test.
        root: of the data; its `generator.json` says what a generator has seen.
        hashes: SHA-256 of the files by path.

    Raises:
        DataError: it is.
    """
    names = {hashes[str(sample.image)]: sample.name for sample in held}
    names |= {digest: sample.name for sample in held for digest in originals([sample])}
    for sample in held:
        if sample.source not in REAL:
            raise DataError(
                f"{sample.image}: is {sample.source}, and only photographs may validate or test; "
                "split again so that made images are in train only"
            )
    for sample in train:
        origins = {"": hashes[str(sample.image)], "is an augmented ": sample.metadata.get("original_sha256")}
        for part in ("ground", "defect"):
            origin = sample.metadata.get(part)
            origins[f"its {part} is "] = origin.get("sha256") if isinstance(origin, Mapping) else None
        for how, digest in origins.items():
            if digest in names:
                raise DataError(
                    f"{sample.image}: {how or 'is the file of '}the held-out {names[digest]}; "
                    "remove it, or mix again by `mix-defects --drop-copies`"
                )
    provenance = read_provenance(root)
    seen = [name for digest, name in names.items() if provenance is not None and digest in provenance.train_sha256]
    if seen:
        raise DataError(
            f"{root}: its generator was trained on {len(seen)} of the {len(held)} held-out images, such as "
            f"{', '.join(sorted(seen)[:_NAMED])}; mix with `mix-defects --split-from {root}/generator.json`"
        )


def refuse_trained(samples: Sequence[Sample], meta: Mapping[str, Any], *, what: str = "the images") -> None:
    """Refuses to measure a classifier on images that it was trained on.

    Args:
        samples: to be measured on.
        meta: of the classifier's checkpoint.
        what: how the message calls them.

    Raises:
        DataError: it was trained on some of them.
    """
    trained = set(meta.get("data", {}).get("train_sha256", ()))
    hashes = hashes_of(samples)
    seen = sorted(sample.name for sample in samples if hashes[str(sample.image)] in trained)
    if seen:
        raise DataError(
            f"{what}: the classifier was trained on {len(seen)} of {len(samples)} images, such as "
            f"{', '.join(seen[:_NAMED])}; measure on images it has not seen"
        )
