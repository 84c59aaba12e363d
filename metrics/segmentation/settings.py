"""How the segmenter is trained; part of the name under which it is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["SegmenterSettings"]


@dataclass(frozen=True)
class SegmenterSettings:
    """Everything but the images that decides the trained weights.

    Attributes:
        steps: Optimiser steps.
        batch: Windows a step.
        good_share: Share of a batch that shows no defect, where there are good images.
        learning_rate: Highest rate of the decoder; the encoder's is a third when it is pretrained.
        weight_decay: Of AdamW.
        warmup: Steps in which the rate rises.
        average: Decay of the running average of the weights that is kept in the end.
        pretrained: Whether the encoder starts from ImageNet.
        seed: Of weights, order and variation.
    """

    steps: int = 1000
    batch: int = 8
    good_share: float = 0.375
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: int = 50
    average: float = 0.99
    pretrained: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2:
            raise ValueError(
                f"expected at least 1 step and batches of 2, got {self.steps} and {self.batch}; raise them"
            )
        if not 0 <= self.good_share < 1:
            raise ValueError(f"expected a share of good images from 0 to below 1, got {self.good_share}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
