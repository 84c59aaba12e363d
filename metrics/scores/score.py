"""What a score is: a value that says by itself from what, from how many and how it was computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Better", "Score", "Spread"]

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Spread:
    """Mean and deviation (divided by the count, not by one less) of one estimate over subsets or splits."""

    mean: float
    std: float


@dataclass(frozen=True)
class Score:
    """One number with all that is needed to read it.

    Attributes:
        name: Its name with its extractor, such as `fid_efficientnet_lite0`; `fid` alone means Inception features.
        value: The number, or None where it cannot be computed.
        low: Lower end of the 95 % interval, or None.
        high: Upper end of the 95 % interval, or None.
        floor: The same score of one half of the real images against the other, mean over several random halvings: what
            a perfect generator would get at half the count. None where it cannot be computed.
        n_real: Number of real images.
        n_fake: Number of synthetic images.
        extractor: Network the features come from.
        estimator: How the number is computed from the features, with its parameters and the resize of the images.
        better: Which way is better.
        warning: What to beware of, or an empty string.
        why: Why there is no value, or an empty string.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    floor: float | None
    n_real: int
    n_fake: int
    extractor: str
    estimator: str
    better: Better
    warning: str = ""
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON takes them."""
        return asdict(self)
