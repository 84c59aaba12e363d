"""A classifier with the class activation map in its graph: one forward pass gives logits and the map.

The map is `X_cam = X_latent . W` (Zhou et al. 2016, equation 2): the features before pooling times the weights of the
last neurons. No extra pass, no gradient. Where a layer norm stands between pooling and neuron, W is multiplied by its
scale and centered to sum to zero: the norm takes the channels' mean out, and so the map's spatial mean stays, up to the
norm's division by the deviation, the logit less its bias.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from classify.models.backbones import build_features


class ClassifierOutput(NamedTuple):
    """Of a forward pass: `logits` (N, K) and `maps` (N, K, h, w), K = 1 for defective against good."""

    logits: Tensor
    maps: Tensor


class CamClassifier(nn.Module):
    """Features, pooling and last neurons.

    Args:
        features: (N, 3, H, W) -> (N, C, h, w).
        channels: C.
        classes: K; 1 for a single sigmoid neuron, else one neuron a class.
        normalized: whether the pooled features are layer-normalized.
        dropout: share of the pooled features dropped in training.
    """

    def __init__(
        self, features: nn.Module, channels: int, classes: int, *, normalized: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError(f"expected 1 neuron (defective or good) or one a class, got {classes}")
        self.features = features
        self.norm = nn.LayerNorm(channels, eps=1e-6) if normalized else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> ClassifierOutput:
        """Classifies `images` (N, 3, H, W), normalized as the pretrained weights require; logits and maps."""
        latent = self.features(images)
        maps = self.map_of(latent)
        if self.training or torch.is_grad_enabled() or self.norm is not None:
            return ClassifierOutput(self.classify(latent), maps)
        # The logit is the map's mean plus the bias: no pooling and no last neuron, and the map costs nothing.
        return ClassifierOutput(maps.mean(dim=(2, 3)) + self.head.bias, maps)

    def classify(self, latent: Tensor) -> Tensor:
        """Logits (N, K) of features (N, C, h, w)."""
        pooled = latent.mean(dim=(2, 3))
        logits: Tensor = self.head(self.dropout(pooled if self.norm is None else self.norm(pooled)))
        return logits

    def map_of(self, latent: Tensor) -> Tensor:
        """Map (N, K, h, w) of features (N, C, h, w); no gradient flows through it."""
        weights = self.head.weight.detach()
        if self.norm is not None:
            weights = weights * self.norm.weight.detach()
            weights = weights - weights.mean(dim=1, keepdim=True)
        maps: Tensor = weights.to(latent.dtype) @ latent.detach().flatten(2)
        return maps.reshape(maps.shape[:2] + latent.shape[2:])


def build_classifier(name: str, *, classes: int = 1, short: bool = False, dropout: float = 0.0) -> CamClassifier:
    """An untrained classifier of `classify.models.backbones.BACKBONES`.

    Raises:
        UsageError: there is no such network.
    """
    features, channels, normalized = build_features(name, short=short)
    return CamClassifier(features, channels, classes, normalized=normalized, dropout=dropout)
