"""Connected components of masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from defects.masks.width import Mask


@dataclass(frozen=True)
class Component:
    """One connected part of a mask: `area` in px, `box` as (x, y, width, height) in px."""

    area: int
    box: tuple[int, int, int, int]
    mask: Mask


def components(mask: Mask) -> list[Component]:
    """The 8-connected parts of a mask, top to bottom."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    boxes = [(int(x), int(y), int(w), int(h)) for x, y, w, h in stats[:, :4]]
    return [Component(int(stats[i, cv2.CC_STAT_AREA]), boxes[i], labels == i) for i in range(1, count)]
