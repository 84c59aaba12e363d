"""Mixing real, synthetic, pasted and augmented images into a training set.

    plan = augment.mix("real/", {"synthetic": "syn/"}, ratio=(1, 0.5), preset="flips")
    loader = plan.dataloader("train", batch_size=32)

The names are loaded on first use, so that importing the package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augment.balancing.report import imbalance_report
    from augment.mixing.dataset import EpochSampler, MixedFolder
    from augment.mixing.mixture import Mixture, mix, paste
    from augment.mixing.request import Thresholds
    from augment.transforms.feature_space import augment_features
    from augment.transforms.pipeline import Pipeline, load_preset

__version__ = version("magna-defect")

__all__ = [
    "EpochSampler",
    "MixedFolder",
    "Mixture",
    "Pipeline",
    "Thresholds",
    "augment_features",
    "imbalance_report",
    "load_preset",
    "mix",
    "paste",
]

_MODULES = {
    "EpochSampler": "augment.mixing.dataset",
    "MixedFolder": "augment.mixing.dataset",
    "Mixture": "augment.mixing.mixture",
    "Pipeline": "augment.transforms.pipeline",
    "Thresholds": "augment.mixing.request",
    "augment_features": "augment.transforms.feature_space",
    "imbalance_report": "augment.balancing.report",
    "load_preset": "augment.transforms.pipeline",
    "mix": "augment.mixing.mixture",
    "paste": "augment.mixing.mixture",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'augment' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
