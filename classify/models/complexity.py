"""Parameters and operations of the classifiers, with and without the map, next to the published ones.

Two counts are given. `macs` are the multiply-accumulates of convolutions and linear layers, what PyTorch counts. The
paper counts half of the floating-point operations that TensorFlow's profiler knows of in a Keras graph: besides
2 for a multiply-accumulate, 1 for each multiplication, subtraction, division and mean of an element-wise layer and of
the scaling of the pixels, none for additions, batch norms and ReLU. These rules were inferred from the published
figures: they give all eight of the mobile networks to the digit. Of ConvNeXt the profiler misses the depthwise
convolutions, which Keras compiles, and the biases; what is left of a difference there is not explained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from classify.models.backbones import parameter_count
from classify.models.cam import CamClassifier, build_classifier
from engine.commands import aligned

SIZE = 128


@dataclass(frozen=True)
class Published:
    """A row of the paper's table; operations in millions, of an image of 128 x 128 px."""

    parameters: int
    plain: float
    with_map: float


@dataclass(frozen=True)
class Operations:
    """Of one network, for one image.

    Attributes:
        parameters: all variables, batch-norm statistics included.
        macs: multiply-accumulates of features and last neurons.
        map_macs: those of the map.
        profiled: half the operations by the paper's rules, without the map; None for families outside the paper.
    """

    parameters: int
    macs: int
    map_macs: int
    profiled: float | None

    @property
    def share(self) -> float:
        """The map's operations as a share of all others."""
        return self.map_macs / self.macs


PUBLISHED = {
    ("convnext_tiny", False): Published(27_820_897, 1427.881, 1427.893),
    ("convnext_tiny", True): Published(12_348_385, 1182.035, 1182.059),
    ("efficientnetv2_b0", False): Published(5_920_593, 236.641, 236.662),
    ("efficientnetv2_b0", True): Published(1_470_661, 178.607, 178.650),
    ("mobilenetv3_large", False): Published(2_997_313, 71.645, 71.660),
    ("mobilenetv3_large", True): Published(882_265, 55.334, 55.377),
}


@dataclass(frozen=True)
class _Rules:
    """Operations an element: of the input's scaling, and whether grouped convolutions and biases count."""

    pixels: int
    compiled_groups: bool = False
    biases: bool = True


_RULES = {
    "convnext_tiny": _Rules(2, compiled_groups=True, biases=False),
    "efficientnetv2_b0": _Rules(3),
    "mobilenetv3_large": _Rules(1),
}
# Of each layer, operations for every element of its input: GELU multiplies twice and divides; SiLU and hard swish
# multiply twice; squeeze-and-excitation takes a mean and multiplies; a layer norm takes two means, four
# products, and a root for every pixel.
_PER_ELEMENT: Mapping[str, int] = {
    "GELU": 3,
    "SiLU": 2,
    "Hardswish": 2,
    "Hardsigmoid": 1,
    "SqueezeExcite": 2,
    "ConvNeXtBlock": 1,
    "LayerNorm": 6,
    "LayerNorm2d": 6,
}


def measure(name: str, *, short: bool = False, size: int = SIZE) -> Operations:
    """Counts for one RGB image of `size` x `size` px.

    Raises:
        UsageError: there is no such network.
    """
    rules = _RULES.get(name)
    with torch.device("meta"):  # shapes are all that counts
        network = build_classifier(name, short=short).eval()
    with torch.device("meta"), torch.no_grad(), _Counter(network, rules).counting() as counter:
        latent = network.features(torch.zeros(1, 3, size, size))
        network.classify(latent)
    profiled = None
    if rules is not None:
        last_norm = 6 * latent.numel() if network.norm is not None else 0  # Keras norms before the pooling
        profiled = counter.flops + latent.numel() + rules.pixels * 3 * size * size + last_norm
    return Operations(
        parameter_count(network),
        counter.macs,
        network.head.out_features * latent.numel(),
        profiled / 2 if profiled is not None else None,
    )


class _Counter:
    """Counts while hooks are on a network."""

    def __init__(self, network: CamClassifier, rules: _Rules | None) -> None:
        self.network, self.rules = network, rules or _Rules(0)
        self.macs = 0
        self.flops = 0

    @contextmanager
    def counting(self) -> Iterator[_Counter]:
        counted = [m for m in self.network.modules() if m is not self.network.norm]
        handles = [module.register_forward_hook(self._count) for module in counted]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def _count(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            macs = output.numel() * module.weight[0].numel()
            grouped = isinstance(module, nn.Conv2d) and module.groups > 1
            self.macs += macs
            self.flops += 0 if grouped and self.rules.compiled_groups else 2 * macs
            self.flops += output.numel() if module.bias is not None and self.rules.biases else 0
            return
        name = type(module).__name__
        self.flops += _PER_ELEMENT.get(name, 0) * inputs[0].numel()
        if name in ("LayerNorm", "LayerNorm2d"):
            self.flops += inputs[0].numel() // sum(p.numel() for p in module.parameters()) * 2


def table_lines(rows: Mapping[tuple[str, bool], Operations]) -> list[str]:
    """The table as text, the published figures next to the counted ones."""
    head = ("network", "parameters", "published", "MACs", "by the paper's rules", "published", "with map", "published",
            "map's share")  # fmt: skip
    lines = [head]
    for (name, short), counts in rows.items():
        paper = PUBLISHED.get((name, short))
        profiled = counts.profiled
        lines.append((
            f"{name}{'_s' if short else ''}",
            f"{counts.parameters:,}",
            f"{paper.parameters:,}" if paper else "–",
            f"{counts.macs / 1e6:,.3f}",
            f"{profiled / 1e6:,.3f}" if profiled is not None else "–",
            f"{paper.plain:,.3f}" if paper else "–",
            f"{(profiled + counts.map_macs) / 1e6:,.3f}" if profiled is not None else "–",
            f"{paper.with_map:,.3f}" if paper else "–",
            f"{counts.share:.4%}",
        ))  # fmt: skip
    return aligned(lines)
