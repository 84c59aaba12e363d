"""Attention rollout in the graph: the same logits as timm's own forward pass, and a map that follows the attention."""

from __future__ import annotations

import pytest
import torch

from classify.config import TRANSFORMERS
from classify.models.rollout import Fusion, build_transformer, rollout
from engine.errors import UsageError

FUSIONS: tuple[Fusion, ...] = ("mean", "min", "max")


def attention(layers: int = 3, heads: int = 2, tokens: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, heads, tokens, tokens, generator=generator).softmax(dim=-1) for _ in range(layers)]


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_logits_are_those_of_timm(name: str) -> None:
    network = build_transformer(name, classes=2).eval()
    images = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        output = network(images)
        torch.testing.assert_close(output.logits, network.network(images), rtol=1e-4, atol=1e-4)
    assert output.maps.shape == (2, 2, 14, 14)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_rollout_is_the_product_of_the_layers_with_the_identity_added(fusion: Fusion) -> None:
    layers = attention()
    expected = torch.eye(5).expand(2, 5, 5)
    for layer in layers:
        fused = {"mean": layer.mean(1), "min": layer.amin(1), "max": layer.amax(1)}[fusion] + torch.eye(5)
        expected = (fused / fused.sum(-1, keepdim=True)) @ expected
    torch.testing.assert_close(rollout(layers, fusion=fusion), expected[:, 0, 1:])


def test_by_mean_a_row_shares_out_all_attention() -> None:
    row = rollout(attention())
    assert (row.sum(dim=1) < 1).all()
    assert (row >= 0).all()


def test_discarding_keeps_the_strongest_patch_and_drops_the_weakest() -> None:
    layer = torch.full((1, 1, 5, 5), 0.01)
    layer[..., 3] = 0.9
    retained = rollout([layer], discard=0.6)
    assert retained.argmax() == 2
    assert (retained == 0).any()


def test_the_class_tokens_own_column_is_never_discarded() -> None:
    layer = torch.full((1, 1, 4, 4), 0.3)
    layer[..., 0] = 0.0001
    strong = rollout([layer, layer], discard=0.25)
    assert strong.isfinite().all()


@pytest.mark.parametrize("discard", [-0.1, 1.0])
def test_an_impossible_discard_ratio_is_rejected(discard: float) -> None:
    with pytest.raises(ValueError, match="expected a discard ratio from 0 to below 1"):
        rollout(attention(), discard=discard)


def test_an_unknown_transformer_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown transformer 'vit'; use one of vit_tiny, deit_tiny"):
        build_transformer("vit")
