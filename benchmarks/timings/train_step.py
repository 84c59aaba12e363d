"""Images a second of a training step: this project's against the step one writes first, by turns.

    python benchmarks/timings/train_step.py [--config magna] [--steps 4] [--rounds 3] [--threads 2]

The first step has the same networks and losses in float32, contiguous, with torch's Adam and a VGG that sees every
image at full resolution in every step. The VGG's weights are random here: the time does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from turns import take_turns, timing_parser

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from engine.config import load_config
from engine.runtime.device import inference_dtype
from engine.training.optimizer import MasterAdam
from gan.config import GanConfig, MagnaLossConfig
from gan.data.loader import Batch
from gan.losses.style import LAYERS, StyleLoss
from gan.networks.registry import build_networks
from gan.training.magna_step import MagnaStep

BARE = ", no style term"
SCHEMA = GuideSchema(
    (
        NumericEntry("thickness", 2, 9, "px"),
        NumericEntry("brightness", -0.3, 0.3),
        CategoricalEntry("background", ("a", "b", "c", "d")),
    )
)


def random_vgg() -> dict[str, Tensor]:
    """VGG-16's shapes with He-normal weights: for timing only."""
    sizes = iter((3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512))
    before, tensors = next(sizes), {}
    for index in (i for level in LAYERS for i in level):
        after = next(sizes)
        tensors[f"features.{index}.weight"] = torch.randn(after, before, 3, 3) * (2 / (9 * before)) ** 0.5
        tensors[f"features.{index}.bias"] = torch.zeros(after)
        before = after
    return tensors


def training_steps(
    config: GanConfig, dtype: torch.dtype, layout: torch.memory_format, steps: int
) -> tuple[Callable[[], object], Callable[[], object]]:
    """A turn of training steps, and the same without the style term."""
    torch.manual_seed(0)
    count, size = config.train.batch_size, config.network.size
    untrained = build_networks(config.network, SCHEMA)
    optimizers = {n: MasterAdam(net, 2e-4, ema=0.999 if n == "generator" else None) for n, net in untrained.items()}
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-true" if dtype == torch.bfloat16 else "32-true")
    networks = {n: fabric.setup_module(net.to(dtype=dtype).to(memory_format=layout)) for n, net in untrained.items()}
    assert isinstance(config.loss, MagnaLossConfig)
    style = StyleLoss(random_vgg(), size=config.loss.style_size, dtype=dtype)
    if layout == torch.contiguous_format:
        style.to(memory_format=layout)
        style.layout = layout
    masks = torch.zeros(count, 1, size, size)
    masks[:, :, size // 3 : size // 3 + 5, size // 5 : -size // 5] = 1
    extra = (count + 1) // 2 if "posterior" in networks else 0
    generator: Any = untrained["generator"]
    noise = generator.draw_noise(count + extra, torch.Generator().manual_seed(0)).to("cpu", dtype)
    images = torch.rand(count, config.network.channels, size, size) * 2 - 1
    batch = Batch(*(t.to(dtype) for t in (images, masks, masks, torch.rand(count, SCHEMA.size))))
    if layout == torch.channels_last:
        batch = Batch(*(t.contiguous(memory_format=layout) if t.dim() == 4 else t for t in vars(batch).values()))

    def run(loss: StyleLoss | None) -> Callable[[], object]:
        step = MagnaStep.build(networks, optimizers, config, SCHEMA, loss)
        numbers = range(steps * config.loss.style_every)
        return lambda: [step(batch, noise, torch.zeros(extra), 2e-4, index) for index in numbers]

    return run(style), run(None)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = timing_parser(__doc__, rounds=3)
    parser.add_argument("--config", default="magna")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the configuration")
    parser.add_argument("--steps", type=int, default=4, help="style terms in a turn")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    config = load_config(options.config, GanConfig, options.set)
    plain = config.model_copy(update={"loss": config.loss.model_copy(update={"style_every": 1, "style_size": None})})
    dtype = inference_dtype(torch.device("cpu"))
    variants = {
        "float32, contiguous, VGG at full size": (plain, torch.float32, torch.contiguous_format),
        f"{dtype}, channels-last, VGG at full size": (plain, dtype, torch.channels_last),
        f"{dtype}, channels-last, VGG as configured": (config, dtype, torch.channels_last),
    }
    ways: dict[str, Callable[[], object]] = {}
    items: dict[str, float] = {}
    for name, (values, number_format, layout) in variants.items():
        ways[name], ways[name + BARE] = training_steps(values, number_format, layout, options.steps)
        images = options.steps * values.loss.style_every * values.train.batch_size
        items |= {name: images, name + BARE: images}
    times = take_turns(ways, rounds=options.rounds)
    print(f"{options.config}, {config.network.size} px, batch {config.train.batch_size}, {options.threads} threads")
    print(times.table(items=items))
    for name in variants:
        print(f"{name}: the VGG takes {1 - times.median(name + BARE) / times.median(name):.0%}")


if __name__ == "__main__":
    main()
