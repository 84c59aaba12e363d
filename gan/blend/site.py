"""Where a defect goes: a photograph and a place in it that the mask fits and that such defects are found on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from defects.ground import Ground, ground_around
from defects.guides import ring_radius
from defects.masks import Mask
from gan.blend.backgrounds import Backgrounds
from gan.blend.likely import Seen
from gan.blend.place import Placed, Placement, place, rough_mask

TRIES = 24
"""Backgrounds tried for a mask at its own size, before all of them are tried with a smaller one."""
LOOKS = 16
"""Places that a mask fits of which the likeliest is taken: one in each of so many photographs, more in each of fewer
where masks are moved."""


@dataclass(frozen=True)
class Site:
    """A place for a mask.

    Attributes:
        number: of the background.
        placed: the mask in it.
        ground: around it; None where nothing is known of the grounds of real defects.
    """

    number: int
    placed: Placed
    ground: Ground | None


@dataclass(frozen=True)
class Sites:
    """Finds places.

    Attributes:
        backgrounds: photographs to draw into.
        placement: where masks may go.
        size: of the network, px.
        seen: what is known of the grounds of real defects.
        any_ground: take the first place that a mask fits.
    """

    backgrounds: Backgrounds
    placement: Placement
    size: int
    seen: Seen
    any_ground: bool = False

    def find(self, mask: Mask, kind: str, rng: np.random.Generator) -> Site | None:
        """A place for a mask (h, w) as drawn; None where it fits into no background.

        Args:
            mask: not empty.
            kind: of the defect; "" for any.
            rng: decides.
        """
        share, order = float(rng.random()), [int(number) for number in rng.permutation(len(self.backgrounds))]
        looks = LOOKS if self.seen and not self.any_ground else 1
        if self.placement.move:
            order *= -(-looks // len(order))
        for shrink, tries in ((False, order[:TRIES]), (True, order)):
            sites: list[tuple[Site, list[float]]] = []
            for number in tries:
                draw: list[float] = rng.random(4).tolist()
                placed = self._place(mask, number, draw, shrink=shrink, rough=looks > 1)
                if placed is not None:
                    sites.append((Site(number, placed, self._ground(number, placed) if self.seen else None), draw))
                if len(sites) == looks:
                    break
            while sites:
                site, draw = sites.pop(self._likeliest([site for site, _ in sites], kind, share))
                exact = self._exact(mask, site, draw, shrink=shrink) if looks > 1 else site
                if exact is not None:
                    return exact
        return None

    def _exact(self, mask: Mask, site: Site, draw: list[float], *, shrink: bool) -> Site | None:
        """The mask itself where a rough one was looked at, or where it fits if it does not fit there."""
        placed = self._place(mask, site.number, draw, shrink=shrink)
        if placed is None:
            return None
        there = replace(placed, x=site.placed.x, y=site.placed.y)
        chosen = self.backgrounds[site.number]
        roi = self.backgrounds.read(site.number)[1] if chosen.roi is not None else None
        if roi is None or not (there.whole(chosen.shape) & ~roi).any():
            return replace(site, placed=there)
        return replace(site, placed=placed, ground=self._ground(site.number, placed))

    def _place(self, mask: Mask, number: int, draw: list[float], *, shrink: bool, rough: bool = False) -> Placed | None:
        chosen = self.backgrounds[number]
        zoom = self.backgrounds.scale((mask.shape[0], mask.shape[1])) / self.backgrounds.scale(chosen.shape)
        roi = self.backgrounds.read(number)[1] if chosen.roi is not None else None
        return place(mask, zoom, chosen.shape, roi, self.placement, draw, shrink=shrink, rough=rough)

    def _ground(self, number: int, placed: Placed) -> Ground:
        small, scale = self.backgrounds.small(number), self.backgrounds.scale(self.backgrounds[number].shape)
        high, wide = placed.mask.shape
        part = rough_mask(placed.mask, (max(1, round(high * scale)), max(1, round(wide * scale))))
        mask = np.zeros((small.shape[0], small.shape[1]), bool)
        top, left = (
            min(round(at * scale), side - 1) for at, side in zip((placed.y, placed.x), mask.shape, strict=True)
        )
        part = part[: mask.shape[0] - top, : mask.shape[1] - left]
        mask[top : top + part.shape[0], left : left + part.shape[1]] = part
        mask[top, left] |= not mask.any()
        return ground_around(small, mask, ring_radius(self.size))

    def _likeliest(self, sites: Sequence[Site], kind: str, share: float) -> int:
        if len(sites) == 1:
            return 0
        return self.seen.likeliest([site.ground for site in sites if site.ground is not None], kind, share)
