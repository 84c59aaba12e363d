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
    "augment.balancing.report": ("imbalance_report",),
    "augment.mixing.dataset": ("EpochSampler", "MixedFolder"),
    "augment.mixing.mixture": ("Mixture", "mix", "paste"),
    "augment.mixing.request": ("Thresholds",),
    "augment.transforms.feature_space": ("augment_features",),
    "augment.transforms.pipeline": ("Pipeline", "load_preset"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'augment' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
