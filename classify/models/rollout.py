"""A vision transformer with attention rollout in its graph: one forward pass gives logits and the map.

`rollout_L = (A_L + I) . rollout_{L-1}`, rows normalized to sum to 1 (Abnar and Zuidema 2020, equation 1). The heads of
a layer are fused by mean, min or max; optionally the lowest share of a layer's attention is set to zero first, the
class token's own column excepted. The class token's row over the patches is the map, the same for every class.
"""

from __future__ import annotations

from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from classify.config import TRANSFORMERS
from classify.models.cam import ClassifierOutput
from engine.errors import UsageError

Fusion = Literal["mean", "min", "max"]


def rollout(attention: list[Tensor], *, fusion: Fusion = "mean", discard: float = 0.0) -> Tensor:
    """Attention from the class token to every patch, through all layers.

    Args:
        attention: of each layer, first to last, (N, heads, T, T), rows summing to 1; token 0 is the class token.
        fusion: of the heads.
        discard: share of a layer's fused attention set to zero, the lowest, 0 to below 1.

    Returns:
        (N, T - 1), each row sums to the share of the class token's attention that falls on patches.
    """
    if not 0 <= discard < 1:
        raise ValueError(f"expected a discard ratio from 0 to below 1, got {discard}")
    tokens = attention[0].shape[-1]
    identity = torch.eye(tokens, dtype=attention[0].dtype, device=attention[0].device)
    result = identity.expand(attention[0].shape[0], tokens, tokens)
    for layer in attention:
        fused = _fused(layer, fusion)
        if discard:
            fused = _without_lowest(fused, discard)
        mixed = fused + identity
        result = (mixed / mixed.sum(dim=-1, keepdim=True)) @ result
    return result[:, 0, 1:]


def _fused(layer: Tensor, fusion: Fusion) -> Tensor:
    if fusion == "mean":
        return layer.mean(dim=1)
    return layer.amax(dim=1) if fusion == "max" else layer.amin(dim=1)


def _without_lowest(fused: Tensor, share: float) -> Tensor:
    flat = fused.flatten(1)
    count = int(share * flat.shape[1])
    if not count:
        return fused
    lowest = flat.topk(count, dim=1, largest=False).indices
    retained = torch.ones_like(flat).scatter(1, lowest, 0.0).reshape(fused.shape)
    class_column = torch.zeros_like(retained[:1])
    class_column[..., 0] = 1.0
    return fused * torch.maximum(retained, class_column)


class RolloutClassifier(nn.Module):
    """A timm vision transformer whose forward pass returns its attention rollout.

    Args:
        network: timm's, with K output neurons.
        fusion: of the heads.
        discard: share of a layer's attention that is set to zero.
    """

    def __init__(self, network: Any, *, fusion: Fusion = "max", discard: float = 0.0) -> None:
        super().__init__()
        self.network = network
        self.fusion: Fusion = fusion
        self.discard = discard

    def forward(self, images: Tensor) -> ClassifierOutput:
        """Classifies `images` (N, 3, 224, 224): logits (N, K) and maps (N, K, 14, 14), equal for all K."""
        network = self.network
        tokens = network.norm_pre(network.patch_drop(network._pos_embed(network.patch_embed(images))))
        attention: list[Tensor] = []
        for block in network.blocks:
            mixed, weights = _attend(block.attn, block.norm1(tokens))
            tokens = tokens + block.drop_path1(block.ls1(mixed))
            tokens = tokens + block.drop_path2(block.ls2(block.mlp(block.norm2(tokens))))
            attention.append(weights.detach().float())
        logits: Tensor = network.forward_head(network.norm(tokens))
        side = images.shape[-1] // network.patch_embed.patch_size[-1]
        row = rollout(attention, fusion=self.fusion, discard=self.discard)
        maps = row.reshape(row.shape[0], 1, -1, side).expand(-1, logits.shape[1], -1, -1)
        return ClassifierOutput(logits, maps)


def _attend(attention: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """One attention layer written out: the mixed tokens (N, T, C) and its weights (N, heads, T, T)."""
    count, length, width = tokens.shape
    packed = attention.qkv(tokens).reshape(count, length, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = packed.unbind(0)
    query, key = attention.q_norm(query), attention.k_norm(key)
    weights = ((query * attention.scale) @ key.transpose(-2, -1)).softmax(dim=-1)
    mixed = (attention.attn_drop(weights) @ value).transpose(1, 2).reshape(count, length, width)
    return attention.proj_drop(attention.proj(attention.norm(mixed))), weights


def build_transformer(
    name: str, *, classes: int = 1, fusion: Fusion = "max", discard: float = 0.0
) -> RolloutClassifier:
    """An untrained transformer of `TRANSFORMERS`.

    Raises:
        UsageError: there is no such network.
    """
    if name not in TRANSFORMERS:
        raise UsageError(
            f"unknown transformer {name!r}; use one of {', '.join(TRANSFORMERS)}", code="E-classify-unknown-network"
        )
    network = timm.create_model(TRANSFORMERS[name], pretrained=False, num_classes=classes)
    return RolloutClassifier(network, fusion=fusion, discard=discard)
