"""Mixing real, synthetic, pasted and augmented images into a training set.

    plan = augment.mix("real/", {"synthetic": "syn/"}, ratio=(1, 0.5), preset="flips")
    loader = plan.dataloader("train", batch_size=32)

>>> from tempfile import mkdtemp
>>> import augment, defects
>>> real = mkdtemp()
>>> _ = defects.generate_mpi(real, 12, plan=defects.MpiPlan(size=64))
>>> pasted = augment.paste(real, mkdtemp(), num=4, val=0, test=0.25)
>>> plan = augment.mix(real, {"pasted": pasted.out}, preset="flips", val=0, test=0.25, check="files")
>>> batch = next(iter(plan.dataloader("train", batch_size=4)))
>>> batch["image"].shape, batch["mask"].shape
(torch.Size([4, 3, 64, 64]), torch.Size([4, 1, 64, 64]))
>>> plan.write(mkdtemp()).images == len(plan)
True
>>> [summary.name for summary in augment.imbalance_report(defects.open(real).samples).classes]
['good', 'crack']

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
