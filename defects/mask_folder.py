"""A folder of masks as `gen-defects --masks` takes them: one subfolder for each kind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from defects.images import encode_image, read_sample
from defects.sample import GOOD, Sample
from defects.windows import Framing, read_window
from engine.files import write_bytes

__all__ = ["write_masks"]


def write_masks(samples: Iterable[Sample], framing: Framing | None, out: Path) -> int:
    """Writes the mask of every defective photograph; how many there are.

    Args:
        samples: Photographs; good ones are passed over, as are those whose square shows nothing of the defect.
        framing: How a photograph becomes a square; None for the mask of the whole photograph.
        out: The folder; files of the same names are replaced.

    Raises:
        DataError: An image or its mask does not open.
        OutputError: The folder cannot be written.
    """
    count = 0
    for sample in samples:
        if sample.label == GOOD:
            continue
        mask = read_window(sample, framing)[1] if framing is not None else read_sample(sample)[1]
        if mask.any():
            name = f"{sample.name.replace('/', '_')}.png"
            write_bytes(out / sample.label / name, encode_image(mask[..., None].astype(np.uint8) * 255, "png"))
            count += 1
    return count
