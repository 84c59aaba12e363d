"""Procedural defect masks: cracks that branch, scratches, pits and spots, at any size."""

from __future__ import annotations

from defects.shapes.draw import KINDS, draw
from defects.shapes.spec import POSITIONS, Shape, ShapeSpec

__all__ = ["KINDS", "POSITIONS", "Shape", "ShapeSpec", "draw"]
