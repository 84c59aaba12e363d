"""The catalogue of classical transforms: one description, and two engines that do the same thing."""

from __future__ import annotations

from augment.catalogue.config import PipelineConfig, StepConfig
from augment.catalogue.pipeline import Pipeline, generator_for
from augment.catalogue.table import CATALOGUE, Transform

__all__ = ["CATALOGUE", "Pipeline", "PipelineConfig", "StepConfig", "Transform", "generator_for"]
