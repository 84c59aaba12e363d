"""Procedural fluorescent magnetic-particle images of a fastener shank."""

from __future__ import annotations

from defects.mpi.dataset import dataset
from defects.mpi.materials import BACKGROUNDS
from defects.mpi.plan import MpiPlan
from defects.mpi.render import MpiImage, render

__all__ = ["BACKGROUNDS", "MpiImage", "MpiPlan", "dataset", "render"]
