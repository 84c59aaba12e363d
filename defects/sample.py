"""One image with its mask, class, group and source: what every command reads and writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

GOOD = "good"
SOURCES = ("real", "synthetic", "procedural", "pasted")

Polygon = tuple[tuple[float, float], ...]
Image = NDArray[np.uint8]
"""(H, W, C), C 1 for gray or 3 for RGB."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """One image and what is known of it; nothing is opened until it is read.

    Attributes:
        name: Unique, posix style, without extension, such as `MT_Crack/exp1_num_265613`.
        image: The image file.
        mask: The mask file, white where the defect is; None where polygons or `metadata["rle"]` say it.
        polygons: Outlines (x, y) in pixels of the upright image; pixel (0, 0) covers 0..1.
        label: `good` or the defect class.
        group: Images of the same specimen share it; empty means a specimen of its own.
        source: One of `SOURCES`.
        metadata: Other columns, `guide` raw values among them.
        depth16: `refuse` a 16-bit image, or `scale` its range 0..65535 to 0..255 on purpose.
    """

    name: str
    image: Path
    mask: Path | None = None
    polygons: tuple[Polygon, ...] = ()
    label: str = GOOD
    group: str = ""
    source: str = "real"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    depth16: Literal["refuse", "scale"] = "refuse"

    @property
    def has_pixels(self) -> bool:
        """Whether it is known which pixels are defective: always so for a good image."""
        return self.label == GOOD or self.mask is not None or bool(self.polygons) or bool(self.metadata.get("rle"))

    @property
    def part(self) -> str:
        """The name under which splits keep images together: the group, or the sample's own name."""
        return f"group:{self.group}" if self.group else f"name:{self.name}"
