"""Images a second of a training step: this project's against the step one writes first, in one run.

    python benchmarks/timings/train_step.py [--config magna] [--steps 6] [--threads 2]

The naive step has the same networks and losses in float32, contiguous, with torch's Adam and a VGG that sees every
image at full resolution in every step. The VGG's weights are random here: the time does not depend on them.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from engine.config import load_config
from engine.runtime.device import inference_dtype
from engine.training.optimizer import MasterAdam
from gan.config import GanConfig, MagnaLossConfig
from gan.data.loader import Batch
from gan.losses.style import LAYERS, StyleLoss
from gan.networks.registry import build_networks
from gan.training.magna_step import MagnaStep

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


def images_a_second(config: GanConfig, dtype: torch.dtype, layout: torch.memory_format, steps: int) -> dict[str, float]:
    """Times the step, and the step without its style term."""
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
    result = {}
    for name, loss in (("step", style), ("without style", None)):
        step = MagnaStep.build(networks, optimizers, config, SCHEMA, loss)
        for index in range(config.loss.style_every):
            step(batch, noise, torch.zeros(extra), 2e-4, index)
        rounds = steps * config.loss.style_every
        start = time.perf_counter()
        for index in range(rounds):
            step(batch, noise, torch.zeros(extra), 2e-4, index)
        result[name] = rounds * count / (time.perf_counter() - start)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="magna")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config = load_config(options.config, GanConfig, [])
    plain = config.model_copy(update={"loss": config.loss.model_copy(update={"style_every": 1, "style_size": None})})
    dtype = inference_dtype(torch.device("cpu"))
    rows = {
        "naive: fp32, contiguous, VGG at full size": images_a_second(
            plain, torch.float32, torch.contiguous_format, options.steps
        ),
        f"{dtype}, channels-last, VGG at full size": images_a_second(plain, dtype, torch.channels_last, options.steps),
        f"{dtype}, channels-last, VGG as configured": images_a_second(
            config, dtype, torch.channels_last, options.steps
        ),
    }
    base = next(iter(rows.values()))["step"]
    print(f"{options.config}, {config.network.size} px, batch {config.train.batch_size}, {options.threads} threads")
    print(f"{'step':46} {'img/s':>7} {'ratio':>6} {'VGG share':>10}")
    for name, row in rows.items():
        share = 1 - row["step"] / row["without style"]
        print(f"{name:46} {row['step']:7.1f} {row['step'] / base:6.2f} {share:10.0%}")


if __name__ == "__main__":
    main()
