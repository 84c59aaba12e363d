"""The polygons of a defect under the name by which the generator's commands know them; see `defects.polygons`."""

from __future__ import annotations

from defects.polygons import INSET, Corners, Outline, area, outlines

__all__ = ["INSET", "Corners", "Outline", "area", "outlines"]
