"""No image that is trained on may be one that is tested on: by its file and by the origins of a synthetic image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from defects.provenance import image_hashes, read_provenance
from defects.sample import Sample
from engine.errors import DataError

REAL = ("real", "procedural")
"""Sources that may be validated and tested on."""

_NAMED = 3
_LEAK = "E-classify-leak"


def originals(samples: Iterable[Sample]) -> set[str]:
    """SHA-256 of the images from which the crops of a mixture come, where their rows have it."""
    return {str(digest) for sample in samples if (digest := sample.metadata.get("original_sha256"))}


def check_training(train: Sequence[Sample], held: Sequence[Sample], root: Path, hashes: Mapping[str, str]) -> None:
    """Makes sure that nothing held out is trained on, neither itself nor as the origin of another image.

    Args:
        train: real and synthetic images.
        held: images of validation and test.
        root: of the data; its `generator.json` lists the training images of a generator.
        hashes: SHA-256 of the files by path.

    Raises:
        DataError: it is.
    """
    names = {hashes[str(sample.image)]: sample.name for sample in held}
    names |= {digest: sample.name for sample in held for digest in originals([sample])}
    for sample in held:
        if sample.source not in REAL:
            raise DataError(
                f"{sample.image}: is {sample.source}, and only real images may validate or test; "
                "split again so that synthetic images are in train only",
                code="E-classify-held-out-synthetic",
            )
    for sample in train:
        origins = {"": hashes[str(sample.image)], "is an augmented ": sample.metadata.get("original_sha256")}
        for column, name in (("ground", "background"), ("defect", "defect")):
            origin = sample.metadata.get(column)
            if isinstance(origin, Mapping):
                origins[f"its {name} is "] = origin.get("sha256")
        for how, digest in origins.items():
            if digest in names:
                raise DataError(
                    f"{sample.image}: {how or 'is the file of '}the held-out {names[digest]}; "
                    "remove it, or mix again by `mix-defects --drop-near-duplicates`",
                    code=_LEAK,
                )
    provenance = read_provenance(root)
    trained = [name for digest, name in names.items() if provenance is not None and digest in provenance.train_sha256]
    if trained:
        raise DataError(
            f"{root}: its generator was trained on {len(trained)} of the {len(held)} held-out images, such as "
            f"{', '.join(sorted(trained)[:_NAMED])}; mix with `mix-defects --split-from {root}/generator.json`",
            code=_LEAK,
        )


def reject_trained(samples: Sequence[Sample], meta: Mapping[str, Any], *, what: str = "the images") -> None:
    """Rejects an evaluation of a classifier on its training images.

    Args:
        samples: of the evaluation.
        meta: of the classifier's checkpoint.
        what: how the message calls them.

    Raises:
        DataError: it was trained on some of them.
    """
    trained = set(meta.get("data", {}).get("train_sha256", ()))
    names = sorted(s.name for s, digest in zip(samples, image_hashes(samples), strict=True) if digest in trained)
    if names:
        raise DataError(
            f"{what}: the classifier was trained on {len(names)} of {len(samples)} images, such as "
            f"{', '.join(names[:_NAMED])}; evaluate it on images outside its training",
            code=_LEAK,
        )
