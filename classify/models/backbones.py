"""Feature extractors of the classifiers: all of a timm network before its pooling, at 1/32 or, shortened, 1/16.

A shortened network drops the last feature stage, so that its map has twice the resolution. ConvNeXt and ResNet end
after their last but one stage; the mobile families end inside the first block of the stage that would halve the map
again, after that block's expansion (1 x 1 convolution, norm, activation): the paper's parameter counts are of this cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import timm
from torch import nn

from engine.errors import UsageError


@dataclass(frozen=True)
class Backbone:
    """One network family member.

    Attributes:
        timm_name: of the full network in timm.
        cut: takes the timm network and whether to shorten it; returns the features and their channels.
        normalized: whether the pooled features are layer-normalized before the last neuron (ConvNeXt).
    """

    timm_name: str
    cut: Callable[[Any, bool], tuple[nn.Sequential, int]]
    normalized: bool = False


def _convnext(network: Any, short: bool) -> tuple[nn.Sequential, int]:
    stages = list(network.stages)[: 3 if short else 4]
    return nn.Sequential(network.stem, *stages), int(stages[-1].blocks[-1].conv_dw.out_channels)


def _resnet(network: Any, short: bool) -> tuple[nn.Sequential, int]:
    stages = [network.layer1, network.layer2, network.layer3, network.layer4][: 3 if short else 4]
    last = stages[-1][-1]
    channels = (last.conv3 if hasattr(last, "conv3") else last.conv2).out_channels
    return nn.Sequential(network.conv1, network.bn1, network.act1, network.maxpool, *stages), int(channels)


def _efficientnet(network: Any, short: bool) -> tuple[nn.Sequential, int]:
    if short:
        return _mobile_short(network)
    head = (network.conv_head, network.bn2)
    return nn.Sequential(network.conv_stem, network.bn1, *network.blocks, *head), int(network.conv_head.out_channels)


def _mobilenet(network: Any, short: bool) -> tuple[nn.Sequential, int]:
    """Without `conv_head`, which in this family stands after the pooling."""
    if short:
        return _mobile_short(network)
    return nn.Sequential(network.conv_stem, network.bn1, *network.blocks), int(network.conv_head.in_channels)


def _mobile_short(network: Any) -> tuple[nn.Sequential, int]:
    halving = [i for i, stage in enumerate(network.blocks) if _stride(stage[0]) == 2]
    block = network.blocks[halving[-1]][0]
    stages = list(network.blocks)[: halving[-1]]
    return nn.Sequential(network.conv_stem, network.bn1, *stages, block.conv_pw, block.bn1), int(
        block.conv_pw.out_channels
    )


def _stride(block: Any) -> int:
    for name in ("conv_dw", "conv_exp", "conv"):
        if hasattr(block, name):
            return int(getattr(block, name).stride[0])
    raise TypeError(f"expected a block of an EfficientNet or MobileNet, got {type(block).__name__}")


BACKBONES: dict[str, Backbone] = {
    "convnext_tiny": Backbone("convnext_tiny", _convnext, normalized=True),
    "efficientnetv2_b0": Backbone("tf_efficientnetv2_b0", _efficientnet),
    "efficientnetv2_s": Backbone("tf_efficientnetv2_s", _efficientnet),
    "mobilenetv3_large": Backbone("mobilenetv3_large_100", _mobilenet),
    "efficientnet_lite0": Backbone("tf_efficientnet_lite0", _efficientnet),
    "efficientnet_b7": Backbone("tf_efficientnet_b7", _efficientnet),
    "resnet18": Backbone("resnet18", _resnet),
    "resnet50": Backbone("resnet50", _resnet),
}


def build_features(name: str, *, short: bool = False) -> tuple[nn.Sequential, int, bool]:
    """The untrained features of a network.

    Args:
        name: a key of `BACKBONES`.
        short: whether to end one stage earlier, at 1/16 of the image.

    Returns:
        The features (N, 3, H, W) -> (N, C, h, w), C, and whether a layer norm stands between pooling and last neuron:
        the shortened ConvNeXt has none.

    Raises:
        UsageError: there is no such network.
    """
    if name not in BACKBONES:
        raise UsageError(
            f"unknown network {name!r}; use one of {', '.join(BACKBONES)}", code="E-classify-unknown-network"
        )
    backbone = BACKBONES[name]
    features, channels = backbone.cut(timm.create_model(backbone.timm_name, pretrained=False), short)
    return features, channels, backbone.normalized and not short


def parameter_count(network: nn.Module) -> int:
    """All variables, batch-norm statistics included, as the paper counts them."""
    statistics = sum(b.numel() for n, b in network.named_buffers() if n.endswith(("running_mean", "running_var")))
    return statistics + sum(p.numel() for p in network.parameters())
