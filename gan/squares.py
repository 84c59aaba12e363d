"""Masks at the generator's size, and at other widths, shared by the threads and images that need the same one."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from defects.masks import fit_square, set_width, width
from engine.kept import Kept
from gan.mask_list import MaskList

Mask = NDArray[np.bool_]

KEPT_MASKS = 16
KEPT_WIDTHS = 16
"""How many are kept: neighbouring images share a mask, distant ones never do."""


class Square:
    """A mask (S, S), its width when asked for, and what it looks like at other widths."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self._lock = Lock()
        self._widths: OrderedDict[float, Mask] = OrderedDict()

    @cached_property
    def width(self) -> float:
        """Mean local width in px."""
        return width(self.mask)

    def at(self, width_px: float) -> Mask:
        """The mask brought to a width; a thread that wants what another one makes waits for it."""
        with self._lock:
            if width_px not in self._widths:
                self._widths[width_px] = set_width(self.mask, width_px)
                if len(self._widths) > KEPT_WIDTHS:
                    self._widths.popitem(last=False)
            return self._widths[width_px]


class Squares:
    """The masks of a list brought to (side, side) by `fit_square`; the latest are kept."""

    def __init__(self, masks: MaskList, side: int) -> None:
        self.masks, self.side = masks, side
        self._kept = Kept[Square](KEPT_MASKS)

    def __getitem__(self, number: int) -> Square:
        """Mask `number` of the list, of any size and aspect as a file.

        Raises:
            DataError: when the file cannot be read any more.
        """
        return self._kept.get(number, lambda: Square(fit_square(self.masks.read(number), self.side)))
