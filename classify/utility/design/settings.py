"""What `bench-utility` was asked for: everything that decides the content of a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import UsageError

ALL = "all"
AUTO, PHOTOGRAPHS, SQUARES = "auto", "photographs", "squares"
UNITS = (PHOTOGRAPHS, SQUARES, AUTO)


@dataclass(frozen=True)
class Settings:
    """The settings that all cells share.

    Attributes:
        mode: `frozen` or `finetune`.
        size: Side of the square that the network sees, px.
        window: Side of the squares cut out of a photograph, px; None for its shorter side.
        channels: 1 or 3.
        network: A network of `classify.models.backbones`.
        weights: Where its weights come from, by name and hash.
        steps: Optimiser steps, the same for every arm.
        batch: Images a step, half of them defective.
        learning_rate: Highest rate.
        decays: Weight decays tried; validation chooses.
        preset: Of classical augmentation.
        versions: Variations of each real training image in a classical arm (frozen mode).
        made_versions: The same of each pasted or synthetic image.
        good: How many good photographs, or good squares, are trained with; None for all, or for a number that suffices.
        least: A square with so many defective px of the photograph is defective.
        val_fraction: Share of what is not tested on that hyper-parameters are chosen by.
        test_fraction: Share that is tested on, where no generator says which images it has not seen.
        split_seed: Of that split.
        unit: What is scored: `photographs`, `squares`, or `auto` until the images are known.
    """

    mode: str = "frozen"
    size: int = 128
    window: int | None = None
    channels: int = 3
    network: str = "efficientnet_lite0"
    weights: str = ""
    steps: int = 400
    batch: int = 64
    learning_rate: float = 3e-3
    decays: tuple[float, ...] = (1e-3, 1e-2, 1e-1)
    preset: str = "flips"
    versions: int = 8
    made_versions: int = 2
    good: int | None = None
    least: int = 10
    val_fraction: float = 0.25
    test_fraction: float = 0.2
    split_seed: int = 0
    unit: str = PHOTOGRAPHS

    def to_dict(self) -> dict[str, Any]:
        """For the identity of a cell and for the report; photographs as the unit, as ever, go without saying."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        if self.unit == PHOTOGRAPHS:
            del values["unit"]
        return values


def parse_ratios(text: str) -> tuple[float, ...]:
    """Synthetic images per real defective image, in rising order; 0 is what the arm is compared with.

    >>> parse_ratios("5, 1,0")
    (0.0, 1.0, 5.0)

    Raises:
        UsageError: One is no number of at least 0, or none is above 0.
    """
    try:
        ratios = sorted({float(part) for part in text.split(",")})
    except ValueError:
        raise UsageError(f"--ratios: expected numbers such as 0,0.5,1,2, got {text!r}") from None
    if not all(0 <= ratio <= 1000 for ratio in ratios) or not any(ratios):  # NaN has no order
        raise UsageError(f"--ratios: expected numbers from 0 to 1000, one at least above 0, got {text!r}")
    return tuple(ratios)


def parse_shots(text: str) -> tuple[int | None, ...]:
    """How many defective images are trained with, in rising order; None for all of them.

    >>> parse_shots("25,all,5")
    (5, 25, None)

    Raises:
        UsageError: One is neither a count nor `all`.
    """
    words = [part.strip() for part in text.split(",")]
    try:
        counts = sorted({int(word) for word in words if word != ALL})
    except ValueError:
        raise UsageError(
            f"--shots: expected counts of defective images or all, such as 5,10,all, got {text!r}"
        ) from None
    if counts and counts[0] < 1:
        raise UsageError(f"--shots: expected at least 1 defective image, got {counts[0]}; leave it out")
    return (*counts, *((None,) if ALL in words else ()))
