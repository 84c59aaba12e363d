"""Pasted images of a few-shot level: made from its own training images, or those of a folder that are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from augment.paste import pasted_samples
from classify.utility.bench import Bench
from classify.utility.sources import MadeSet
from classify.utility.views import Image
from defects.masks import Mask
from defects.sample import Sample
from defects.windows import Framing
from engine.seeding import seed_for

__all__ = ["pasted_images", "pasted_of"]


def pasted_images(
    bench: Bench, defective: Sequence[Sample], good: Sequence[Sample], seed: int, count: int
) -> Iterator[tuple[Image, Mask]]:
    """Image and mask of `count` pasted images; the first ones are the same for every count.

    Raises:
        DataError: No defect fits into the good images.
    """
    settings = bench.settings
    framing = Framing(settings.size, settings.window, settings.channels)
    made = pasted_samples(
        defective,
        good,
        count=count,
        method=bench.request.pasted or "alpha",
        seed=seed_for(seed, "utility", "paste") % 2**31,
        framing=framing,
    )
    return ((one.image, one.mask) for one in made)


def pasted_of(
    made: MadeSet, defective: Sequence[Sample], good: Sequence[Sample], hashes: dict[str, str]
) -> NDArray[np.intp]:
    """Which images of a pasted folder are made of these photographs only."""
    known = {hashes[sample.name] for sample in [*defective, *good]}

    def fits(sample: Sample) -> bool:
        origins = [sample.metadata.get(part) for part in ("ground", "defect")]
        return all(origin["sha256"] in known for origin in origins if isinstance(origin, dict))

    return np.flatnonzero([fits(sample) for sample in made.samples])
