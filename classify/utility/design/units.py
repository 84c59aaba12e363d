"""What is trained on, validated and tested: photographs, or the squares that cover them.

Where nearly every photograph is defective, a score that ranks photographs says nothing; their squares are good and
defective ones. A square belongs to the part that its photograph shows, so that no part is trained on and tested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from classify.utility.design.division import Division, good_limit
from classify.utility.design.settings import AUTO, PHOTOGRAPHS, SQUARES, Settings
from classify.utility.design.views import UNCLEAR, labelled_boxes
from defects.images.crops import Box
from defects.sample import GOOD, Sample
from engine.seeding import numpy_generator

GOOD_NEEDED = 10
"""Good photographs that training, validation and test each need for photographs to be scored."""

GOOD_SQUARES = 1000
"""Good squares trained with unless another number is asked for; more cost time and change little."""


@dataclass(frozen=True)
class Square:
    """A clear square of a photograph.

    Attributes:
        owner: Index of the photograph in its part of the division.
        place: Which of the squares that cover it.
        item: What is scored: its own name and label, the photograph's part; `metadata["square"]` is its box.
    """

    owner: int
    place: int
    item: Sample

    @property
    def good(self) -> bool:
        """Whether no defect is in it."""
        return self.item.label == GOOD


@dataclass(frozen=True)
class Squares:
    """The squares of a division, photograph by photograph.

    Attributes:
        train: Every defective one, and the good ones that are kept.
        val: Every clear one.
        test: Every clear one.
        good: Good squares of the training photographs before they were thinned.
    """

    train: list[Square]
    val: list[Square]
    test: list[Square]
    good: int

    @property
    def background_stats(self) -> list[Sample]:
        """The good squares trained with."""
        return [square.item for square in self.train if square.good]

    @property
    def items(self) -> Division:
        """What is trained with and scored."""
        train, val, test = ([square.item for square in part] for part in (self.train, self.val, self.test))
        return Division(train, val, test)


def unit_of(asked: str, division: Division) -> tuple[str, str]:
    """The unit, and why it is that.

    Args:
        asked: `photographs`, `squares`, or `auto` to score squares where good photographs are too few.
        division: Of the photographs.
    """
    if asked != AUTO:
        return asked, "as asked for"
    parts = {"training": division.train, "validation": division.val, "test": division.test}
    counts = {name: sum(sample.label == GOOD for sample in samples) for name, samples in parts.items()}
    fewest = min(counts, key=lambda name: counts[name])
    told = f"{counts[fewest]} of the {len(parts[fewest])} {fewest} photographs are good"
    if counts[fewest] >= GOOD_NEEDED:
        return PHOTOGRAPHS, f"{told}, enough to rank photographs"
    blind = sum(not sample.has_pixels for samples in parts.values() for sample in samples)
    if blind:
        return PHOTOGRAPHS, f"{told}, but without masks of {blind} defective ones their squares cannot be told apart"
    return SQUARES, f"{told}, fewer than the {GOOD_NEEDED} that a ranking of photographs needs"


def cover(division: Division, hashes: Mapping[str, str], settings: Settings) -> tuple[Squares, Settings]:
    """The squares of a division, and the settings with the number of good ones trained with.

    Which good squares are kept is drawn from the seed of the split; a larger number holds the smaller one.

    Args:
        division: Photographs, with masks where they are defective.
        hashes: SHA-256 of each image file by name.
        settings: Window, least defect, and how many good squares are asked for.

    Raises:
        DataError: A mask does not open, or more good squares are asked for than there are.
    """
    train, val, test = (
        [
            Square(owner, place, _item(sample, box, label, hashes[sample.name]))
            for owner, sample in enumerate(samples)
            for place, (box, label) in enumerate(labelled_boxes(sample, window=settings.window, least=settings.least))
            if label != UNCLEAR
        ]
        for samples in (division.train, division.val, division.test)
    )
    good = [index for index, square in enumerate(train) if square.good]
    count = min(GOOD_SQUARES, len(good)) if settings.good is None else good_limit(settings.good, len(good), SQUARES)
    order = numpy_generator(settings.split_seed, "utility", "good squares").permutation(len(good))
    kept = {good[index] for index in order[:count]}
    train = [square for index, square in enumerate(train) if index in kept or not square.good]
    return Squares(train, val, test, len(good)), replace(settings, good=count)


def squares_notes(squares: Squares | None, why: str, *, shared: bool) -> list[str]:
    """What the reader has to know of squares as the unit, a sentence each.

    Args:
        squares: None where photographs are the unit.
        why: Why squares are.
        shared: Whether the seeds of the level with all photographs share their pasted images.
    """
    if squares is None:
        return []
    kept = len(squares.background_stats)
    note = [f"what is trained on and scored are squares, each for itself, not photographs: {why}"]
    if kept < squares.good:
        note.append(
            f"{kept:,} of the {squares.good:,} good training squares are trained with, drawn at random (--good)"
        )
    if shared:
        note.append("at all defective photographs every seed draws from the same pasted images, as from a folder")
    return note


def views_learnt(
    photographs: Sequence[Sample],
    chosen: Sequence[Sample],
    labels: NDArray[np.int64],
    owners: NDArray[np.int64],
    unit: str,
) -> NDArray[np.bool_]:
    """Which views (N,) of the training photographs a level learns from.

    All of its defective photographs and of the good ones; where squares are the unit, of its defective photographs the
    defective squares, and the good squares of all.

    Args:
        photographs: Trained with.
        chosen: The level's defective ones.
        labels: (N,) of the views.
        owners: (N,) their photographs.
        unit: `photographs` or `squares`.
    """
    names = {sample.name for sample in chosen}
    own = np.asarray([sample.name in names for sample in photographs], np.bool_)
    if unit == SQUARES:
        return np.asarray((labels == 0) | own[owners])
    return np.asarray((own | [sample.label == GOOD for sample in photographs])[owners])


def _item(sample: Sample, box: Box, label: int, digest: str) -> Sample:
    return Sample(
        f"{sample.name}@{box[0]},{box[1]}",
        sample.image,
        label=sample.label if label else GOOD,
        group=sample.group or sample.name,
        source=sample.source,
        metadata={"square": box, "sha256": digest},
        depth16=sample.depth16,
    )
