"""What the source reports (Sensors 2023, 23, 1861): three generators, trained on the same images of fasteners."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PUBLISHED", "Published"]


class Published(NamedTuple):
    """One row of the source's table; its features come from networks that are not at hand."""

    name: str
    architecture: str
    inception_score: str
    fid: float


PUBLISHED = (
    Published("CycleGAN", "cyclegan", "2.88 ± 0.25", 91.56),
    Published("Pix2Pix", "pix2pix", "3.08 ± 0.31", 65.09),
    Published("Magna-Defect-GAN", "magna", "3.88 ± 0.36", 50.03),
)
