"""Pretrained weights: from a package, a given file, or an announced and hash-checked download; never random numbers."""

from __future__ import annotations

from engine.weights.lite0 import lite0_weights
from engine.weights.vgg16 import STYLE_WEIGHTS_VARIABLE, style_vgg_weights

__all__ = ["STYLE_WEIGHTS_VARIABLE", "lite0_weights", "style_vgg_weights"]
