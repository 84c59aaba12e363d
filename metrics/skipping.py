"""The parts of a comparison that can be left out; a module of its own, for a command that only wants their names."""

from __future__ import annotations

__all__ = ["PARTS"]

PARTS = ("control", "labels", "memorisation", "tsne")
