"""Background matching: which background a defect suits, and which training defect it is sampled like.

All samples are weighted: the nearest candidate is the most frequent one, distant ones never occur.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from defects.attributes.appearance import BackgroundStats, LocalContrast
from defects.attributes.guide import GuideValue

if TYPE_CHECKING:
    from gan.checkpoint import LoadedGenerator

Row = Mapping[str, GuideValue]
Floats = NDArray[np.float64]

UNLIKE = 0.02
"""A candidate of less weight, the nearest having 1, is not sampled."""
LEVEL, GRAIN = 0.05, 0.5
"""Unit differences of backgrounds: of luminance, and of the logarithm of its deviation."""
PLACE, SIDE = 0.15, 0.08
"""Unit differences of places in an image, as shares of the free room, and of what lies on one side of a defect."""
LIGHT, WIDTH = 0.08, 0.3
"""Unit differences where brightness is transferred: of luminance, which is compensated, and of the logarithm of the
width, on which brightness depends more than on anything else: small pits of BSData are half as dark."""
CONTRAST = 0.05
"""Unit difference of brightness where a local contrast is transferred."""
STRANGE = 4.0
"""Squared difference from which on two backgrounds are unlike: two units in either."""
MOST_LIGHT = 2.0
"""A defect's brightness is transferred to a background so many times brighter or darker at most."""
DARKEST = 0.02
FEW = 0.1
"""So small a share of images on unlike backgrounds is not worth a warning."""


def sample_nearest(distances: NDArray[np.floating[Any]], share: float) -> int:
    """The number of one of several candidates, with Gaussian weights.

    Args:
        distances: (N,) squared differences from the target, in unit differences.
        share: 0..1, selects one.

    >>> [sample_nearest(np.array([0.0, 0.1, 50.0]), share) for share in (0.0, 0.6, 1.0)]
    [0, 1, 1]
    """
    weights = np.exp(-0.5 * (distances - distances.min()))
    weights[weights < UNLIKE] = 0
    sums = np.cumsum(weights)
    return min(int(np.searchsorted(sums, share * sums[-1], side="right")), int(np.flatnonzero(weights)[-1]))


@dataclass(frozen=True)
class TrainingDefects:
    """The training defects with their backgrounds and local contrasts; empty for a checkpoint that describes none."""

    rows: Sequence[Row]
    background_stats: Sequence[BackgroundStats]
    local_contrasts: Sequence[LocalContrast] = ()

    @classmethod
    def of(cls, generator: LoadedGenerator) -> TrainingDefects:
        """Those of a checkpoint."""
        return cls(generator.table, generator.background_stats, generator.local_contrasts)

    def __bool__(self) -> bool:
        return bool(self.background_stats)

    def row_sampler(self, stats: BackgroundStats) -> Callable[[Mapping[str, str], float, float | None], Row]:
        """Samples a guide row for a defect on a background.

        Returns:
            A function of the fixed categories, of a share 0..1 that selects a row, and of the defect's width in px of
            the network's scale, None where that is sampled too.
        """

        def sample_row(fixed: Mapping[str, str], share: float, width: float | None) -> Row:
            usable = self._of(fixed)
            return self._transferred(usable[sample_nearest(self._distances(usable, stats, width), share)], stats)

        return sample_row

    def local_contrast(
        self, stats: BackgroundStats, fixed: Mapping[str, str], share: float, *, width: float, brightness: float | None
    ) -> LocalContrast | None:
        """That of a training defect of the same class and similar width, brightness and background, transferred.

        None where the checkpoint describes none.
        """
        if not self.local_contrasts:
            return None
        usable = self._of(fixed)
        distances = self._distances(usable, stats, width)
        if brightness is not None:
            levels = np.array([cast(float, self._transferred(i, stats).get("brightness") or 0.0) for i in usable])
            distances += ((levels - brightness) / CONTRAST) ** 2
        number = usable[sample_nearest(distances, share)]
        return tuple(band * self._light(number, stats) for band in self.local_contrasts[number])

    def best_match(self, candidates: Sequence[BackgroundStats], defect_class: str, share: float) -> int:
        """Which of several backgrounds is most like that of a training defect, which is itself sampled by `share`.

        So defects lie on backgrounds of all sorts in the proportions of the training images, not all on the most
        frequent one. It is sampled among those whose place is that of a candidate: a mask at the upper edge takes
        after a defect there.
        """
        usable = self._of({"kind": defect_class} if defect_class else {})
        here = _places(candidates)
        apart = ((self._known_places[usable][:, None] - here[None]) / PLACE) ** 2
        nearest = np.nan_to_num(apart).sum(axis=2).min(axis=1)  # where a place is not known, none is preferred
        target = self.background_stats[usable[sample_nearest(nearest, share)]]
        return int(np.argmin([_difference(stats, target) for stats in candidates]))

    def knows(self, stats: BackgroundStats) -> bool:
        """Whether a training defect has a background like this."""
        known = self._known
        distances = ((known[:, 0] - stats.level) / LEVEL) ** 2 + ((known[:, 1] - _log_grain(stats)) / GRAIN) ** 2
        return bool(distances.min() < STRANGE)

    @cached_property
    def _known(self) -> Floats:
        """(N, 2) level and logarithm of the grain."""
        return np.array([(stats.level, _log_grain(stats)) for stats in self.background_stats])

    @cached_property
    def _known_places(self) -> Floats:
        """(N, 2) where in their images they lie."""
        return _places(self.background_stats)

    def _of(self, fixed: Mapping[str, str]) -> list[int]:
        every = range(len(self.rows))
        return [i for i in every if all(self.rows[i].get(n) == value for n, value in fixed.items())] or list(every)

    def _widths(self, usable: Sequence[int]) -> Floats:
        return np.array([max(float(cast(float, self.rows[i].get("thickness") or 1.0)), 0.5) for i in usable])

    def _distances(self, usable: Sequence[int], stats: BackgroundStats, width: float | None) -> Floats:
        """Squared differences of training defects, by their background's level and by their width, where known."""
        distances = np.array([((self.background_stats[i].level - stats.level) / LIGHT) ** 2 for i in usable])
        if width is not None:
            distances += (np.log(self._widths(usable) / max(width, 0.5)) / WIDTH) ** 2
        return distances

    def _light(self, number: int, stats: BackgroundStats) -> float:
        """How many times brighter a background is than that of a training defect."""
        ratio = max(stats.level, DARKEST) / max(self.background_stats[number].level, DARKEST)
        return float(np.clip(ratio, 1 / MOST_LIGHT, MOST_LIGHT))

    def _transferred(self, number: int, stats: BackgroundStats) -> Row:
        """A training defect's guide row on another background: its brightness follows the background's level."""
        row = self.rows[number]
        brightness = row.get("brightness")
        return {**row, "brightness": brightness * self._light(number, stats)} if isinstance(brightness, float) else row


def _places(background_stats: Sequence[BackgroundStats]) -> Floats:
    """(N, 2) where in their images they lie; NaN where that is not known."""
    return np.array([stats.setting[:2] if stats.setting else (np.nan, np.nan) for stats in background_stats])


def _difference(one: BackgroundStats, other: BackgroundStats) -> float:
    grain = _log_grain(one) - _log_grain(other)
    difference = ((one.level - other.level) / LEVEL) ** 2 + (grain / GRAIN) ** 2
    if one.setting is not None and other.setting is not None:
        scales = (PLACE, PLACE, SIDE, SIDE, SIDE, SIDE)
        difference += sum(((a - b) / s) ** 2 for a, b, s in zip(one.setting, other.setting, scales, strict=True))
    return difference


def _log_grain(stats: BackgroundStats) -> float:
    return math.log(max(stats.grain, 1e-3))


def background_warnings(rows: Iterable[Mapping[str, Any]], known: TrainingDefects) -> list[str]:
    """Images whose defect lies on a background darker, brighter, smoother or rougher than any in training."""
    if not known:
        return []
    stats = [BackgroundStats(*row["background"]["ground"]) for row in rows if "ground" in row["background"]]
    strange = sum(not known.knows(one) for one in stats)
    if strange <= FEW * len(stats):
        return []
    levels = [one.level for one in known.background_stats]
    average = sum(one.level for one in stats) / len(stats)
    return [
        f"{strange} of {len(stats)} defects lie on backgrounds unlike those of the training images (brightness "
        f"{min(levels):.2f}..{max(levels):.2f} there, {average:.2f} on average here, or another grain); check them "
        "before they are used, or train on images like these"
    ]
