"""The real images that a filter may learn from: those its generator was trained on, and no others.

An image that was held out is never used: whatever is measured on it later would be measured with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from defects.layouts import read_dataset
from defects.provenance import Provenance
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError
from gan.filter.rule import Rule
from metrics.held_out import file_hashes

LEAST = 5
"""Images of defects without which neither a manifold nor a segmenter is worth its name."""


@dataclass(frozen=True)
class References:
    """Real images.

    Attributes:
        samples: those that are used, good ones among them.
        hashes: SHA-256 of their files, in the same order.
        left_out: how many others the folder holds.
    """

    samples: list[Sample]
    hashes: list[str]
    left_out: int

    @property
    def defective(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.label != GOOD]


def open_references(folder: Path, provenance: Provenance, rule: Rule) -> References:
    """Finds the images that the generator was trained on, by the SHA-256 of their files; none is decoded.

    Args:
        folder: real images in any layout.
        provenance: of the generator.
        rule: what will be asked of them.

    Raises:
        DataError: the folder cannot be read, or holds too few images that can be used.
        UsageError: the generator does not say what it was trained on.
    """
    dataset = read_dataset(folder)
    if faults := [fault for fault in dataset.faults if not fault.warning]:
        more = f" (and {len(faults) - 1} more faults; `check-data {folder}` lists them)" if len(faults) > 1 else ""
        raise DataError(f"--keep-like: {faults[0]}{more}")
    if not provenance.train_sha256:
        raise UsageError(
            "--keep-like: this generator does not say which images it was trained on, so held-out ones cannot be told; "
            "train it again by train-gan, or leave --keep-like out"
        )
    hashes = file_hashes(dataset.samples)
    held = set(provenance.test)
    used = [
        (sample, digest)
        for sample, digest in zip(dataset.samples, hashes, strict=True)
        if digest in provenance.train_sha256
        and sample.name not in held
        and (sample.has_pixels or not rule.judges_labels)
    ]
    found = References([sample for sample, _ in used], [digest for _, digest in used], len(hashes) - len(used))
    if len(found.defective) < LEAST:
        raise DataError(
            f"--keep-like: {folder} holds {len(found.defective)} images of defects that the generator was trained on, "
            f"and {LEAST} are needed; give the folder that train-gan was given"
        )
    return found
