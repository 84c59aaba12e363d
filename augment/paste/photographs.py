"""The photographs that pasting reads: decoded on demand, the latest kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augment.paste.region import part_region
from defects.images import read_sample
from defects.masks import Mask
from defects.sample import Sample
from defects.windows import Framing, as_channels, scaled
from engine.files import sha256_file
from engine.kept import Kept

__all__ = ["Photograph", "Photographs", "part_of"]

Image = NDArray[np.uint8]

_KEPT_BYTES = 192 * 1024 * 1024


@dataclass(frozen=True)
class Photograph:
    """A whole photograph, at its own resolution or at that of a framing.

    Attributes:
        image: (H, W, C) uint8.
        mask: (H, W), its own defect.
        region: (H, W), where the part is.
        light: (H, W) uint8 luminance.
        sample: where it comes from.
    """

    image: Image
    mask: Mask
    region: Mask
    light: NDArray[np.uint8]
    sample: Sample

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return self.image.nbytes + self.mask.nbytes + self.region.nbytes + self.light.nbytes


def part_of(photograph: Photograph, cut: tuple[slice, slice]) -> Photograph:
    """Rows and columns of a photograph."""
    image, mask = np.ascontiguousarray(photograph.image[cut]), photograph.mask[cut].copy()
    return Photograph(image, mask, photograph.region[cut], photograph.light[cut], photograph.sample)


class Photographs:
    """Reads photographs and keeps the latest of them.

    Args:
        framing: Scale and channels to bring them to; None leaves them as they are.
        most: Bytes that are kept.
    """

    def __init__(self, framing: Framing | None, *, most: int = _KEPT_BYTES) -> None:
        self.framing = framing
        self._kept = Kept[Photograph](most, lambda photograph: photograph.size)
        self._hashes: dict[str, str] = {}

    def read(self, sample: Sample) -> Photograph:
        """The photograph of a sample, or the part of it that `metadata["square"]` (x, y, width, height in px) names.

        Raises:
            DataError: the image or its mask does not open.
        """
        square = sample.metadata.get("square")
        key = str(sample.image) if square is None else f"{sample.image}@{square}"
        return self._kept.get(key, lambda: self._read(sample, square))

    def _read(self, sample: Sample, square: Sequence[int] | None) -> Photograph:
        image, mask = read_sample(sample)
        if square is not None:
            x, y, width, height = square
            cut = slice(y, y + height), slice(x, x + width)
            image, mask = np.ascontiguousarray(image[cut]), np.ascontiguousarray(mask[cut])
        if self.framing is not None:
            image, mask = scaled(image, mask, self.framing)
        light = as_channels(image, 1)[..., 0]
        return Photograph(image, mask, part_region(light), light, sample)

    def origin(self, sample: Sample) -> dict[str, str]:
        """Name, hash of the image file and group of a sample, for the metadata of what is made of it."""
        key = str(sample.image)
        if key not in self._hashes:
            self._hashes[key] = str(sample.metadata.get("sha256") or sha256_file(sample.image))
        return {"name": sample.name, "sha256": self._hashes[key], "group": sample.group}
