"""The synthetic sets, opened and checked: whole, new to the test images, and what is known of their generators."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augment.mixing.leak_check import image_hashes
from defects.formats.dataset import open_dataset
from defects.provenance import Provenance, read_provenance
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError


@dataclass(frozen=True)
class MadeSet:
    """A folder of made images.

    Attributes:
        name: As the user calls it.
        root: The folder.
        samples: In the order of their names.
        hashes: SHA-256 of each image file, in that order.
        provenance: Of its generator; None where the folder does not say.
    """

    name: str
    root: Path
    samples: list[Sample]
    hashes: list[str]
    provenance: Provenance | None = None

    @property
    def fingerprint(self) -> str:
        """Of its images and their labels."""
        return fingerprint(self.hashes, [sample.label for sample in self.samples])


def open_made(name: str, root: Path) -> MadeSet:
    """Opens a folder of made images.

    Raises:
        DataError: It is missing, faulty, or shows no defect.
    """
    samples = open_dataset(root).samples
    if not any(sample.label != GOOD for sample in samples):
        raise DataError(f"{root}: shows no defect among {len(samples)} images; give a folder of gen-defects")
    hashes = image_hashes(samples)
    return MadeSet(name, root, samples, [hashes[sample.name] for sample in samples], read_provenance(root))


def fingerprint(hashes: Sequence[str], labels: Sequence[str]) -> str:
    """SHA-256 of a set of images and their labels, whatever their order."""
    lines = sorted(f"{digest} {label}" for digest, label in zip(hashes, labels, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def generator_saw(made: MadeSet, real: Sequence[Sample], hashes: Mapping[str, str]) -> int | None:
    """How many real images with a defect its generator was trained on; None where nothing is known.

    Args:
        made: The set.
        real: The real images.
        hashes: SHA-256 of each real image file by name.
    """
    if made.provenance is None or not made.provenance.train_sha256:
        return None
    at_hand = sum(s.label != GOOD and hashes[s.name] in made.provenance.train_sha256 for s in real)
    return max(at_hand, made.provenance.defective or 0)


def masks_from(made: MadeSet, real: Sequence[Sample]) -> list[str | None]:
    """The name of the real image whose mask each made image was painted from, as its `mask_source` tells; or None."""
    known: dict[str, str | None] = {}
    for sample in real:
        stems = {sample.name, sample.name.replace("/", "_"), sample.name.rpartition("/")[2]}
        for stem in stems | ({sample.mask.stem} if sample.mask is not None else set()):
            known[stem] = None if stem in known and known[stem] != sample.name else sample.name
    found = []
    for sample in made.samples:
        path = str(sample.metadata.get("mask_source") or "").rpartition(".")[0]
        found.append(known.get(path) or known.get(path.rpartition("/")[2]))
    return found


def origins_of(made: MadeSet) -> set[str]:
    """SHA-256 of the photographs that its images were drawn into or pasted from, as far as their rows tell."""
    columns = (sample.metadata.get(part) for sample in made.samples for part in ("background", "ground", "defect"))
    return {str(origin["sha256"]) for origin in columns if isinstance(origin, dict) and "sha256" in origin}


def refuse_test_images(made: MadeSet, test: Sequence[Sample], hashes: Mapping[str, str]) -> None:
    """Refuses a set that knows of a test image: by training, by what its images are drawn into, or byte for byte.

    Raises:
        DataError: It does; what to do is named.
        UsageError: Its images are painted from the masks of test images.
    """
    seen = made.provenance.train_sha256 if made.provenance is not None else frozenset()
    known = [sample.name for sample in test if hashes[sample.name] in seen]
    if known:
        raise DataError(
            f"{made.root}: its generator was trained on {len(known)} of the {len(test)} test images, such as "
            f"{known[0]}; train it again without them, or take images whose generator.json names the test images"
        )
    files = {hashes[sample.name]: sample.name for sample in test}
    drawn = sorted(files[digest] for digest in origins_of(made) if digest in files)
    if drawn:
        raise DataError(
            f"{made.root}: its images are drawn into {len(drawn)} of the test images, such as {drawn[0]}; "
            "give gen-defects --backgrounds without them"
        )
    copies = [files[digest] for digest in made.hashes if digest in files]
    if copies:
        raise DataError(
            f"{made.root}: {len(copies)} of its images are test images byte for byte, such as {copies[0]}; "
            "take them out"
        )
    names = {sample.name for sample in test}
    painted = [name for name in masks_from(made, test) if name in names]
    if painted:
        raise UsageError(
            f"{made.root}: {len(painted)} of its images are painted from the masks of test images, such as "
            f"{painted[0]}; make images from the masks of training images only"
        )


def pasted_of(
    made: MadeSet, defective: Sequence[Sample], good: Sequence[Sample], hashes: Mapping[str, str]
) -> NDArray[np.intp]:
    """Which images of a pasted folder are made of these photographs only."""
    known = {hashes[sample.name] for sample in [*defective, *good]}

    def fits(sample: Sample) -> bool:
        origins = [sample.metadata.get(part) for part in ("ground", "defect")]
        return all(origin["sha256"] in known for origin in origins if isinstance(origin, dict))

    return np.flatnonzero([fits(sample) for sample in made.samples])
