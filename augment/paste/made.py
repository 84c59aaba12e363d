"""What pasting makes: an image, its label, and where both come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defects.masks import Mask

__all__ = ["METHODS", "Made"]

METHODS = ("alpha", "poisson", "perlin")


@dataclass(frozen=True)
class Made:
    """One pasted image.

    Attributes:
        name: Unique for (seed, index), without extension.
        image: (H, W, C) uint8.
        mask: (H, W) bool, the label: the pasted defect, and any that the ground already had.
        label: Kind of the defect.
        group: Of the ground, so that it stays with the part it shows.
        metadata: Columns for the manifest: `method`, `seed`, `index`, `band` (px around the label beyond which the
            ground is unchanged), `defect` and `ground` (name, sha256, group of the real samples), `pose`,
            `guide` (raw thickness and brightness as measured on the result).
    """

    name: str
    image: NDArray[np.uint8]
    mask: Mask
    label: str
    group: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
