"""The squares of a mixture: synthetic images are squares already, photographs are cut to match them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augment.mixer.request import Request
from augment.mixer.sources import Sources
from defects.images import image_info, read_sample
from defects.masks import Mask
from defects.sample import Sample
from defects.windows import Framing, as_channels, read_window
from engine.errors import DataError, UsageError

__all__ = ["Cutter", "choose_framing"]


@dataclass(frozen=True)
class Cutter:
    """How images are read.

    Attributes:
        framing: Of the photographs; None leaves every image whole and at its own resolution.
        channels: Of what is read; None for those of each file.
    """

    framing: Framing | None
    channels: int | None = None

    def frame(self, sample: Sample) -> Framing | None:
        """How one sample is cut: a photograph by its window, an image made at a square's size as a whole."""
        framing = self.framing
        if framing is None or framing.window is None:
            return framing
        if sample.source == "synthetic":
            return Framing(framing.size, None, framing.channels)
        if sample.source == "pasted" and image_info(sample.image).upright == (framing.size, framing.size):
            return Framing(framing.size, None, framing.channels)
        return framing

    def read(self, sample: Sample) -> tuple[NDArray[np.uint8], Mask]:
        """Image (H, W, C) uint8 and mask (H, W).

        Raises:
            DataError: The image or its mask does not open.
        """
        framing = self.frame(sample)
        if framing is not None:
            return read_window(sample, framing)
        image, mask = read_sample(sample)
        return image if self.channels is None else as_channels(image, self.channels), mask

    def whole(self, sample: Sample, shape: tuple[int, ...]) -> bool:
        """Whether a picture of this shape (H, W) read from a sample is all of its file, neither cut nor resized."""
        return self.framing is None or image_info(sample.image).upright == tuple(shape)


def choose_framing(request: Request, sources: Sources) -> Cutter:
    """The framing asked for, else that of the generators, else photographs as they are.

    Raises:
        UsageError: Generators of different framings, and none was asked for.
        DataError: A synthetic image that is no square and has no generator.json.
    """
    channels = _channels(sources)
    known = {s.provenance.framing for s in sources.synthetic if s.provenance is not None}
    if request.native:
        mixed = len({image_info(s.samples[0].image).channels for s in (sources.real, *sources.made)}) > 1
        return Cutter(None, channels if mixed else None)
    if request.size is not None or request.window is not None:
        one = next(iter(known)) if len(known) == 1 else None
        size = request.size or (one.size if one else None)
        if size is None:
            raise UsageError("--window: how many px the squares get is not known; give --size too")
        window = request.window if request.window is not None else (one.window if one else None)
        return Cutter(Framing(size, window, channels))
    if len(known) > 1:
        named = ", ".join(f"{s.name} {s.provenance.framing}" for s in sources.synthetic if s.provenance is not None)
        raise UsageError(f"--synthetic: the generators see different squares ({named}); give --size and --window")
    if known:
        return Cutter(next(iter(known)))
    if sources.synthetic:
        first = sources.synthetic[0].samples[0].image
        height, width = image_info(first).upright
        if height != width:
            raise DataError(f"{first}: {width} x {height} px is no square; give --size, or --native to leave all whole")
        return Cutter(Framing(height, None, channels))
    return Cutter(None)


def _channels(sources: Sources) -> int:
    """Those of the generator, else 3 where a photograph has them."""
    for source in sources.synthetic:
        if source.provenance is not None:
            return source.provenance.channels
    return 3 if image_info(sources.real.samples[0].image).channels >= 3 else 1
