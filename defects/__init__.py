"""The domain: images with masks, classes and groups, in any published folder layout; guides; procedural data.

>>> from tempfile import mkdtemp
>>> import defects
>>> folder = mkdtemp()
>>> _ = defects.generate_mpi(folder, 2, plan=defects.MpiPlan(size=64))
>>> data = defects.open(folder)
>>> data.layout, len(data.samples), data.samples[0].label
('sample_folder', 2, 'crack')
>>> defects.export(data, mkdtemp(), format="coco").formats
['coco']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from defects.attributes.guide import measure
    from defects.formats.dataset import Dataset
    from defects.formats.dataset import open_dataset as open
    from defects.formats.export import export
    from defects.formats.validation import check_images
    from defects.images.decode import read_sample
    from defects.masks.width import set_width
    from defects.sample import Sample
    from defects.splits import split
    from defects.synthetic.masks import ShapeSpec
    from defects.synthetic.mpi_dataset import MpiPlan
    from defects.synthetic.mpi_dataset import dataset as generate_mpi

__all__ = [
    "Dataset",
    "MpiPlan",
    "Sample",
    "ShapeSpec",
    "check_images",
    "export",
    "generate_mpi",
    "measure",
    "open",
    "read_sample",
    "set_width",
    "split",
]

_PLACES = {
    "Dataset": ("defects.formats.dataset", "Dataset"),
    "MpiPlan": ("defects.synthetic.mpi_dataset", "MpiPlan"),
    "Sample": ("defects.sample", "Sample"),
    "ShapeSpec": ("defects.synthetic.masks", "ShapeSpec"),
    "check_images": ("defects.formats.validation", "check_images"),
    "export": ("defects.formats.export", "export"),
    "generate_mpi": ("defects.synthetic.mpi_dataset", "dataset"),
    "measure": ("defects.attributes.guide", "measure"),
    "open": ("defects.formats.dataset", "open_dataset"),
    "read_sample": ("defects.images.decode", "read_sample"),
    "set_width": ("defects.masks.width", "set_width"),
    "split": ("defects.splits", "split"),
}


def __getattr__(name: str) -> Any:
    """Names are imported when they are used: importing the package is quick."""
    if name not in _PLACES:
        raise AttributeError(f"module 'defects' has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
