"""One image as `gen-defects` writes it, still in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defects.guides import GuideValue


@dataclass(frozen=True)
class Picture:
    """An image with its label.

    Attributes:
        image: (H, W, C).
        label: (H, W) the defect's pixels.
        kind: name of the defect.
        raw: guide values; lengths are in px of this image.
        scaled: guide values, numeric ones in 0..1.
        columns: further columns of its manifest row.
        kept: False where it is not to be written.
        rejected: rows of `rejected.jsonl`, a candidate each.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.bool_]
    kind: str
    raw: Mapping[str, GuideValue]
    scaled: Mapping[str, GuideValue]
    columns: Mapping[str, Any] = field(default_factory=dict)
    kept: bool = True
    rejected: tuple[Mapping[str, Any], ...] = ()
