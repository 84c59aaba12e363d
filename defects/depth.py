"""What shall become of 16-bit images: said once for a data set, and carried by every sample of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import get_args

from defects.images import Depth16
from defects.sample import Sample
from engine.errors import UsageError

__all__ = ["at_depth"]


def at_depth(samples: Iterable[Sample], depth16: str) -> list[Sample]:
    """The samples, whose 16-bit images whoever reads them must `refuse` or `scale` from 0..65535 to 0..255.

    Raises:
        UsageError: Another word.
    """
    for word in get_args(Depth16):
        if word == depth16:
            return [replace(sample, depth16=word) for sample in samples]
    raise UsageError(f"--depth16: {depth16!r} is unknown; choose from {', '.join(get_args(Depth16))}")
