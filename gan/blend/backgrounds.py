"""The photographs that defects are drawn into, read as they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from defects.images import read_mask_image, read_sample
from defects.masks import Mask
from defects.sample import GOOD, Sample
from defects.windows import as_channels
from engine.files import sha256_file
from engine.kept import Kept
from gan.blend.inpaint import paint_out
from gan.blend.windows import margin

KEPT = 512 * 2**20
"""Bytes of photographs kept: painting a defect out costs more than drawing one."""

Image = NDArray[np.uint8]
ScaleOf = Callable[[tuple[int, int]], float]


@dataclass(frozen=True)
class Background:
    """One photograph.

    Attributes:
        sample: a good one, or a defective one whose defect is painted out when it is read.
        sha256: of the image file.
        shape: (height, width) upright.
        roi: the mask file of where a defect may lie.
    """

    sample: Sample
    sha256: str
    shape: tuple[int, int]
    roi: Path | None = None

    @property
    def painted_out(self) -> bool:
        return self.sample.label != GOOD

    @property
    def name(self) -> str:
        return self.sample.name


class Backgrounds(Sequence[Background]):
    """Photographs in the order of their names; the pixels of the latest are kept.

    Args:
        found: the photographs.
        notes: what was left out, a line each.
        scale: px of the network's scale for one px of a photograph of a shape (height, width).
        reach: px of the network's scale around a defect that are painted out with it.
    """

    def __init__(self, found: Sequence[Background], notes: Sequence[str], *, scale: ScaleOf, reach: float) -> None:
        self.found, self.notes, self.scale, self.reach = list(found), tuple(notes), scale, reach
        self._kept = Kept[tuple[Image, Mask | None]](
            KEPT, lambda read: sum(part.nbytes for part in read if part is not None)
        )
        self._small = Kept[Image](KEPT // 4, lambda small: small.nbytes)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: int) -> Background:  # type: ignore[override]
        return self.found[index]

    def read(self, index: int) -> tuple[Image, Mask | None]:
        """Pixels (H, W, C) and the region of interest (H, W), None where the whole picture is one.

        Raises:
            DataError: a file cannot be used any more.
        """
        return self._kept.get(index, lambda: self._read(self.found[index]))

    def small(self, index: int) -> Image:
        """Luminance (h, w, 1) at the network's scale: what grounds are compared by.

        Raises:
            DataError: a file cannot be used any more.
        """
        return self._small.get(index, lambda: self._reduced(index))

    def _read(self, chosen: Background) -> tuple[Image, Mask | None]:
        image, mask = read_sample(chosen.sample)
        if chosen.painted_out:
            image = paint_out(image, margin(mask, self.reach / self.scale(chosen.shape)))
        return image, read_mask_image(chosen.roi, chosen.shape)[0] if chosen.roi is not None else None

    def _reduced(self, index: int) -> Image:
        image, scale = as_channels(self.read(index)[0], 1), self.scale(self.found[index].shape)
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)[..., None]

    @property
    def digest(self) -> str:
        """SHA-256 of names and contents, regions of interest included."""
        digest = hashlib.sha256()
        for one in self.found:
            roi = sha256_file(one.roi) if one.roi is not None else ""
            digest.update(f"{one.name}\0{one.sha256}\0{roi}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()
