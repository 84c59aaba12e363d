"""A choice among known defects: the likest most often, those far from it never."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from defects.attributes.background import BackgroundStats
from defects.attributes.guide import GuideValue
from defects.attributes.local_contrast import LocalContrast

UNLIKE = 0.02
"""One of less weight, the likest having 1, is not drawn."""


def likest_mostly(off: NDArray[np.floating[Any]], share: float) -> int:
    """The number of one of several, with Gaussian weights.

    Args:
        off: (N,) squared differences from what is wanted, in units of a difference that counts.
        share: 0..1, tells which.

    >>> [likest_mostly(np.array([0.0, 0.1, 50.0]), share) for share in (0.0, 0.6, 1.0)]
    [0, 1, 1]
    """
    weights = np.exp(-0.5 * (off - off.min()))
    weights[weights < UNLIKE] = 0
    sums = np.cumsum(weights)
    return min(int(np.searchsorted(sums, share * sums[-1], side="right")), int(np.flatnonzero(weights)[-1]))


Row = Mapping[str, GuideValue]
Floats = NDArray[np.float64]

LEVEL, GRAIN = 0.05, 0.5
"""Differences of grounds that count as one: of luminance, and of the logarithm of its deviation."""
PLACE, SIDE = 0.15, 0.08
"""The same of places in a photograph, as shares of the free room, and of what lies on one side of a defect."""
LIGHT, WIDTH = 0.08, 0.3
"""Differences that count as one where a contrast is taken over: of luminance, which is allowed for, and of the
logarithm of the width, on which it depends more than on anything else: small pits of BSData are half as dark."""
CONTRAST = 0.05
"""The same of brightness, where a relief is taken over."""
STRANGE = 4.0
"""A ground differs by so much from one that it is not like: two of the above differences in either."""
MOST_LIGHT = 2.0
"""A defect's brightness is taken to a ground so many times brighter or darker at most."""
DARKEST = 0.02


@dataclass(frozen=True)
class Seen:
    """The training defects, their grounds and reliefs, a row each; empty for a checkpoint that tells of none."""

    rows: Sequence[Row]
    background_stats: Sequence[BackgroundStats]
    local_contrasts: Sequence[LocalContrast] = ()

    def __bool__(self) -> bool:
        return bool(self.background_stats)

    def like(self, ground: BackgroundStats) -> Callable[[Mapping[str, str], float, float | None], Row]:
        """What draws a row for a defect on a ground.

        Returns:
            A function of the fixed categories, of a share 0..1 that tells which, and of the defect's width in px of the
            network's scale, None where that is drawn too.
        """

        def choose(fixed: Mapping[str, str], share: float, width: float | None) -> Row:
            usable = self._of(fixed)
            off = self._off(usable, ground, width)
            return self._brought(usable[likest_mostly(off, share)], ground)

        return choose

    def local_contrast(
        self, ground: BackgroundStats, fixed: Mapping[str, str], share: float, *, width: float, brightness: float | None
    ) -> LocalContrast | None:
        """That of a training defect of the same kind and like width, brightness and ground, brought to this ground.

        None where nothing is known of reliefs.
        """
        if not self.local_contrasts:
            return None
        usable = self._of(fixed)
        off = self._off(usable, ground, width)
        if brightness is not None:
            shown = np.array([cast(float, self._brought(i, ground).get("brightness") or 0.0) for i in usable])
            off += ((shown - brightness) / CONTRAST) ** 2
        chosen = usable[likest_mostly(off, share)]
        return tuple(band * self._light(chosen, ground) for band in self.local_contrasts[chosen])

    def likeliest(self, background_stats: Sequence[BackgroundStats], kind: str, share: float) -> int:
        """Which of several grounds is most like that of a training defect, which is itself drawn by `share`.

        So defects lie on grounds of all sorts in the proportions of the training images, not all on the commonest. It
        is drawn among those that lie where one of the grounds is: a mask at the upper edge takes after a defect there.
        """
        usable = self._of({"kind": kind} if kind else {})
        here = _places(background_stats)
        apart = ((self._lie[usable][:, None] - here[None]) / PLACE) ** 2
        nearest = np.nan_to_num(apart).sum(axis=2).min(axis=1)  # where a place is not known, none is preferred
        target = self.background_stats[usable[likest_mostly(nearest, share)]]
        return int(np.argmin([_difference(ground, target) for ground in background_stats]))

    def knows(self, ground: BackgroundStats) -> bool:
        """Whether a training defect lay on a ground like this."""
        own = self._known
        off = ((own[:, 0] - ground.level) / LEVEL) ** 2 + ((own[:, 1] - _roughness(ground)) / GRAIN) ** 2
        return bool(off.min() < STRANGE)

    @cached_property
    def _known(self) -> Floats:
        """(N, 2) level and logarithm of the grain."""
        return np.array([(ground.level, _roughness(ground)) for ground in self.background_stats])

    @cached_property
    def _lie(self) -> Floats:
        """(N, 2) where in their photographs they lie."""
        return _places(self.background_stats)

    def _of(self, fixed: Mapping[str, str]) -> list[int]:
        every = range(len(self.rows))
        return [i for i in every if all(self.rows[i].get(n) == value for n, value in fixed.items())] or list(every)

    def _widths(self, usable: Sequence[int]) -> Floats:
        return np.array([max(float(cast(float, self.rows[i].get("thickness") or 1.0)), 0.5) for i in usable])

    def _off(self, usable: Sequence[int], ground: BackgroundStats, width: float | None) -> Floats:
        """How unlike training defects are, by their ground's light and by their width, where it is known."""
        off = np.array([((self.background_stats[i].level - ground.level) / LIGHT) ** 2 for i in usable])
        if width is not None:
            off += (np.log(self._widths(usable) / max(width, 0.5)) / WIDTH) ** 2
        return off

    def _light(self, number: int, ground: BackgroundStats) -> float:
        """How many times brighter a ground is than that of a training defect."""
        ratio = max(ground.level, DARKEST) / max(self.background_stats[number].level, DARKEST)
        return float(np.clip(ratio, 1 / MOST_LIGHT, MOST_LIGHT))

    def _brought(self, number: int, ground: BackgroundStats) -> Row:
        row = self.rows[number]
        brightness = row.get("brightness")
        return {**row, "brightness": brightness * self._light(number, ground)} if isinstance(brightness, float) else row


def _places(background_stats: Sequence[BackgroundStats]) -> Floats:
    """(N, 2) where in their photographs they lie; NaN where that is not known."""
    return np.array([ground.setting[:2] if ground.setting else (np.nan, np.nan) for ground in background_stats])


def _difference(one: BackgroundStats, other: BackgroundStats) -> float:
    grain = _roughness(one) - _roughness(other)
    off = ((one.level - other.level) / LEVEL) ** 2 + (grain / GRAIN) ** 2
    if one.setting is not None and other.setting is not None:
        scales = (PLACE, PLACE, SIDE, SIDE, SIDE, SIDE)
        off += sum(((a - b) / s) ** 2 for a, b, s in zip(one.setting, other.setting, scales, strict=True))
    return off


def _roughness(ground: BackgroundStats) -> float:
    return math.log(max(ground.grain, 1e-3))


FEW = 0.1
"""So small a share of images on strange grounds is not worth a line."""


def ground_remarks(rows: Iterable[Mapping[str, Any]], seen: Seen) -> list[str]:
    """Images whose defect lies on a ground that is darker, brighter, smoother or rougher than any in training."""
    if not seen:
        return []
    background_stats = [BackgroundStats(*row["background"]["ground"]) for row in rows if "ground" in row["background"]]
    strange = sum(not seen.knows(ground) for ground in background_stats)
    if strange <= FEW * len(background_stats):
        return []
    levels = [ground.level for ground in seen.background_stats]
    shown = sum(ground.level for ground in background_stats) / len(background_stats)
    return [
        f"{strange} of {len(background_stats)} defects lie on backgrounds unlike those of the training images "
        f"(brightness "
        f"{min(levels):.2f}..{max(levels):.2f} there, {shown:.2f} on average here, or another grain); look at them "
        "before they are used, or train on photographs like these"
    ]
