"""Why an image is not in the mixture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

__all__ = ["Dropped", "counted"]


@dataclass(frozen=True)
class Dropped:
    """One image left out.

    Attributes:
        source: Name of its folder.
        name: Of the sample.
        reason: One word or two: `held-out`, `label_iou`, `realism`, `nearest_ratio`, `no score`, `empty mask`.
        detail: What was found.
    """

    source: str
    name: str
    reason: str
    detail: str

    def to_dict(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)


def counted(drops: Iterable[Dropped]) -> dict[str, dict[str, int]]:
    """How many of each source for each reason."""
    counts = Counter((drop.source, drop.reason) for drop in drops)
    found: dict[str, dict[str, int]] = {}
    for (source, reason), number in sorted(counts.items()):
        found.setdefault(source, {})[reason] = number
    return found
