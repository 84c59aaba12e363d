"""How much an image looks like real ones, on a scale that real images set.

The realism of Kynkaanniemi et al., 2019, is 1 at the edge of the manifold that real images span. With a few hundred
images in a thousand dimensions hardly a real image of an unseen part lies inside it, and some classes of defects, rare
or various, lie further off than others. So realism is divided by the typical realism of real images of the class, each
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
from defects.provenance import Provenance, image_hashes
from defects.sample import GOOD, Sample
from engine.errors import DataError, UsageError
from gan.filtering.rule import Rule
from metrics.data.image_set import ImageSet
from metrics.features.cache import FeatureCache
from metrics.features.extraction import Extractor, extract
from metrics.scores.manifold import RealManifold

LEAST = 5
"""Real images of a class that its own scale needs at least; the filter needs as many defects."""


@dataclass(frozen=True)
class RealismScorer:
    """Scores images by their features.

    Attributes:
        extractor: Of the features.
        manifold: Of the real images.
        typical: Median realism of real images, for every class with enough of them, and for all under "".
        digest: Names the real features and the extractor.
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
    ) -> RealismScorer:
        """Fits the manifold and the scale.

        Raises:
            ValueError: There are too few images, or they are all alike or of one part.
            DataError: An image does not open.
        """
        rows = extract(real, extractor, cache=cache, on_progress=on_progress).values
        manifold = RealManifold(rows)
        reached = manifold.realism_of_real([sample.part for sample in real.samples])
        labels = np.asarray([sample.label.casefold() for sample in real.samples])
        typical = {"": float(np.median(reached))}
        for label in np.unique(labels):
            if (labels == label).sum() >= LEAST:
                typical[str(label)] = float(np.median(reached[labels == label]))
        if min(typical.values()) <= 0:
            raise ValueError("expected real images of several parts, got one part or hardly more")
        digest = hashlib.sha256(json.dumps([extractor.fingerprint, sorted(typical.items())]).encode())
        digest.update(rows.tobytes())
        return cls(extractor, manifold, typical, digest.hexdigest())

    def realism(self, images: NDArray[np.uint8], labels: Sequence[str]) -> NDArray[np.float64]:
        """Realism (N,) of images (N, S, S, C), 1 being that of a typical real image of the class."""
        rgb = np.broadcast_to(images, (*images.shape[:3], 3)).transpose(0, 3, 1, 2)
        features, _ = self.extractor(torch.from_numpy(np.ascontiguousarray(rgb)))
        scale = [self.typical.get(label.casefold(), self.typical[""]) for label in labels]
        return np.asarray(self.manifold.realism(features) / np.asarray(scale), np.float64)


@dataclass(frozen=True)
class References:
    """Real images.

    Attributes:
        samples: The used ones, good ones among them.
        hashes: SHA-256 of their files, in the same order.
        left_out: How many others the folder holds.
    """

    samples: list[Sample]
    hashes: list[str]
    left_out: int

    @property
    def defective(self) -> list[Sample]:
        """Those with a defect."""
        return [sample for sample in self.samples if sample.label != GOOD]


def open_references(folder: Path, provenance: Provenance, rule: Rule) -> References:
    """Finds the images that the generator was trained on, by the SHA-256 of their files; none is decoded.

    Args:
        folder: Real images in any layout.
        provenance: Of the generator.
        rule: Of the filter.

    Raises:
        DataError: The folder cannot be read, or holds too few usable images.
        UsageError: The generator does not state what it was trained on.
    """
    dataset = read_dataset(folder)
    if issues := [issue for issue in dataset.issues if not issue.warning]:
        more = f" (and {len(issues) - 1} more issues; `check-data {folder}` lists them)" if len(issues) > 1 else ""
        raise DataError(f"--filter-with: {issues[0]}{more}", code=issues[0].code)
    if not provenance.train_sha256:
        raise UsageError(
            "--filter-with: this generator does not state which images it was trained on, so held-out ones cannot be "
            "excluded; train it again by train-gan, or leave --filter-with out",
            code="E-filter-no-training-images",
        )
    hashes = image_hashes(dataset.samples)
    held_out = set(provenance.test)
    used = [
        (sample, digest)
        for sample, digest in zip(dataset.samples, hashes, strict=True)
        if digest in provenance.train_sha256
        and sample.name not in held_out
        and (sample.has_pixels or not rule.scores_labels)
    ]
    references = References([sample for sample, _ in used], [digest for _, digest in used], len(hashes) - len(used))
    if len(references.defective) < LEAST:
        raise DataError(
            f"--filter-with: {folder} holds {len(references.defective)} images of defects that the generator was "
            f"trained on, and {LEAST} are needed; give the folder that train-gan was given",
            code="E-filter-few-images",
        )
    return references
