"""The photographs that train, and how they are cut, for those who make images from them before anything is mixed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from augment.mixer.assign import KnownSplit, assign, grouped, read_split
from augment.mixer.seen import image_hashes
from defects.layouts.dataset import open_dataset
from defects.sample import Sample
from engine.errors import DataError

__all__ = ["TrainingPart", "training_part"]


@dataclass(frozen=True)
class TrainingPart:
    """What may be looked at.

    Attributes:
        samples: The training photographs.
        held: How many others are held out.
        how: By what they were divided, in words.
    """

    samples: list[Sample]
    held: int
    how: str


def training_part(
    real: Path, *, layout: str = "auto", val: float = 0.1, test: float = 0.2, split_from: str = "none", seed: int = 0
) -> TrainingPart:
    """Divides photographs as `mix-defects` does with the same settings.

    Raises:
        DataError: The folder cannot be read or divided.
        UsageError: A setting is wrong.
    """
    found = [s for s in open_dataset(real, layout).samples if s.source in ("real", "procedural") and s.has_pixels]
    if not found:
        raise DataError(f"{real}: no real image with known pixels in it; see `check-data {real}` for what was read")
    samples, _ = grouped(found)
    known: KnownSplit | None = None
    hashes: dict[str, str] = {}
    if split_from not in ("none", "auto", "column"):
        known, hashes = read_split(Path(split_from)), image_hashes(samples)
    column = split_from == "column"
    parts = assign(samples, {"val": val, "test": test}, seed, known=known, hashes=hashes, column=column)
    train = parts.parts["train"]
    return TrainingPart(train, len(samples) - len(train), parts.how)
