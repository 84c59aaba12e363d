"""The named pipelines that ship with the package, each with the figures of the paper it is named after."""

from __future__ import annotations

from augment.catalogue.pipeline import Pipeline
from engine.config import config_names

__all__ = ["preset", "preset_names"]


def preset_names() -> list[str]:
    """Names that `preset` knows."""
    return config_names("augment")


def preset(name: str) -> Pipeline:
    """A packaged pipeline, or one from a YAML file.

    Raises:
        UsageError: no such preset or file, or a fault in it; one line.
    """
    return Pipeline.from_preset(name)
