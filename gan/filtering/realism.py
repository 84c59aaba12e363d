"""How much an image looks like real ones, on a scale that real images set.

The realism of Kynkaanniemi et al., 2019, is 1 at the edge of the manifold that real images span. With a few hundred
images in a thousand dimensions hardly a real image of an unseen part lies inside it, and some kinds of defects, rare or
various, lie further off than others. So realism is divided by what real images of the kind typically reach, each
measured by the images of other parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from defects.formats.dataset import read_dataset
from defects.provenance import Provenance
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError
from gan.filtering.rule import Rule
from metrics.data.held_out import file_hashes
from metrics.data.image_set import ImageSet
from metrics.features.cache import FeatureCache
from metrics.features.extraction import Extractor, extract
from metrics.scores.manifold import RealManifold

LEAST = 5
"""Real images of a kind without which its own scale is worth nothing."""


@dataclass(frozen=True)
class Likeness:
    """Judges images by their features.

    Attributes:
        extractor: of the features.
        manifold: of the real images.
        typical: median realism of real images, for every kind with enough of them, and for all under "".
        digest: names the real features and the extractor.
    """

    extractor: Extractor
    manifold: RealManifold
    typical: Mapping[str, float]
    digest: str

    @classmethod
    def of(
        cls,
        real: ImageSet,
        extractor: Extractor,
        cache: FeatureCache,
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> Likeness:
        """Learns the manifold and the scale.

        Raises:
            ValueError: there are too few images, or they are all alike or of one part.
            DataError: an image does not open.
        """
        rows = extract(real, extractor, cache=cache, on_progress=on_progress).values
        manifold = RealManifold(rows)
        reached = manifold.realism_of_real([sample.part for sample in real.samples])
        kinds = np.asarray([sample.label.casefold() for sample in real.samples])
        typical = {"": float(np.median(reached))}
        for kind in np.unique(kinds):
            if (kinds == kind).sum() >= LEAST:
                typical[str(kind)] = float(np.median(reached[kinds == kind]))
        if min(typical.values()) <= 0:
            raise ValueError("expected real images of several parts, got one part or hardly more")
        digest = hashlib.sha256(json.dumps([extractor.fingerprint, sorted(typical.items())]).encode())
        digest.update(rows.tobytes())
        return cls(extractor, manifold, typical, digest.hexdigest())

    def realism(self, images: NDArray[np.uint8], kinds: Sequence[str]) -> NDArray[np.float64]:
        """Realism (N,) of images (N, S, S, C), 1 being that of a typical real image of the kind."""
        shown = np.broadcast_to(images, (*images.shape[:3], 3)).transpose(0, 3, 1, 2)
        features, _ = self.extractor(torch.from_numpy(np.ascontiguousarray(shown)))
        scale = [self.typical.get(kind.casefold(), self.typical[""]) for kind in kinds]
        return np.asarray(self.manifold.realism(features) / np.asarray(scale), np.float64)


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
    if issues := [issue for issue in dataset.issues if not issue.warning]:
        more = f" (and {len(issues) - 1} more faults; `check-data {folder}` lists them)" if len(issues) > 1 else ""
        raise DataError(f"--keep-like: {issues[0]}{more}")
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
