"""Published folder layouts, one file each, read into samples."""

from __future__ import annotations

from defects.layouts.check import check_images
from defects.layouts.dataset import LAYOUTS, Dataset, open_dataset, read_dataset

__all__ = ["LAYOUTS", "Dataset", "check_images", "open_dataset", "read_dataset"]
