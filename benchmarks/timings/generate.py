"""`gen-defects` against the loop people write, against its own limit, and its memory. All ways take turns.

    python benchmarks/timings/generate.py [--checkpoint RUN] [--rounds 3] [--no-memory]

The loop: one image at a time, float32, eager, Pillow's `save`; once without labels, once with the same labels written
the same way. The limit: 1 / (t_forward + t_encode), both measured with all cores busy. Peak memory is that of a process
of its own for each number of masks.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from PIL import Image
from turns import take_turns, timing_parser

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.images.decode import encode_image, read_image
from defects.synthetic.masks import ShapeSpec
from engine.checkpoint import save_checkpoint
from engine.errors import CheckpointError
from engine.seeding import numpy_generator, torch_generator
from gan.checkpoint import describe, load_generator
from gan.config import MagnaNetwork
from gan.generation.jobs import Request
from gan.generation.plan import Plan, Sampler, make_plan
from gan.generation.run import generate
from gan.networks.magna_generator import MagnaGenerator

LOOP, LABELED_LOOP, COMMAND = "loop, images only", "loop, with labels", "gen-defects"
BATCHES = 4
"""Micro-batches a thread, and repeats of the encoded images, in a turn of the limit."""


def _random_generator(stem: Path, size: int) -> Path:
    """Random weights: speed and memory do not depend on them."""
    torch.manual_seed(0)
    schema = GuideSchema((NumericEntry("thickness", 2, size / 12, "px"), CategoricalEntry("background", ("a", "b"))))
    narrow = {} if size >= 128 else {"width": 8, "max_width": 16}
    config = MagnaNetwork.model_validate({"size": size, **narrow})
    network = MagnaGenerator(config, schema.size, schema.columns("background"))
    table: list[dict[str, float | str | None]] = [{"thickness": 3.0, "background": name} for name in "ab"]
    return save_checkpoint(stem, network.state_dict(), describe(config, schema, table))


def _write_masks(folder: Path, count: int, size: int) -> Path:
    """Cracks; of many, all but the first hundred are further names of those files."""
    folder.mkdir()
    spec = ShapeSpec.typical("crack", size)
    for number in range(count):
        path = folder / f"{number:05d}.png"
        if number < 100:
            rng = numpy_generator(0, number)
            path.write_bytes(encode_image(spec.sample(rng).draw(size, rng)))
        else:
            os.link(folder / f"{number % 100:05d}.png", path)
    return folder


def _loop(plan: Plan, out: Path, count: int, *, labels: bool) -> None:
    """The loop people write; `plan.sampler.network` is float32 here."""
    out.mkdir()
    network, jobs = plan.sampler.network, plan.jobs
    with torch.no_grad(), (out / "metadata.jsonl").open("w") as manifest:
        for i in range(count):
            item = jobs.resolve(jobs[i])
            noise = network.sample_noise([torch_generator(0, i)])
            mask = torch.from_numpy(item.condition[None, None]).float()
            image = network(mask, noise, torch.from_numpy(item.vector[None]))[0]
            pixels = ((image + 1) * 127.5).clamp(0, 255).round().byte().permute(1, 2, 0).squeeze(2).numpy()
            Image.fromarray(pixels).save(out / f"{i}.png")
            if labels:
                Image.fromarray(item.mask).save(out / f"{i}_mask.png")
                manifest.write(json.dumps({"file_name": f"{i}.png", "guide": item.raw}) + "\n")


def _forward(plan: Plan) -> Callable[[int], None]:
    """The forward pass of a full micro-batch, without anything around it."""
    sampler, side = plan.sampler, plan.jobs.side
    mask = torch.zeros(sampler.count, 1, side, side, dtype=sampler.dtype).contiguous(memory_format=torch.channels_last)
    noise = sampler.network.sample_noise([torch_generator(0, i) for i in range(sampler.count)]).to("cpu", sampler.dtype)
    guides = torch.zeros(sampler.count, plan.jobs.schema.size, dtype=sampler.dtype)

    def forward(_: int) -> None:
        with torch.inference_mode():
            sampler.network(mask, noise, guides)

    return forward


def _difference(bf16: Sampler, fp32: Sampler, plan: Plan, count: int) -> dict[str, float]:
    """How far the pixels of the fast form are from those of float32, in levels of 255."""
    steps = []
    for first in range(0, count, bf16.count):
        jobs = [plan.jobs[i] for i in range(first, min(first + bf16.count, count))]
        items = [plan.jobs.resolve(job) for job in jobs]
        arguments = ([r.condition for r in items], [r.vector for r in items], [plan.jobs.noise_key(j) for j in jobs])
        steps.append(np.abs(bf16.sample(*arguments).astype(int) - fp32.sample(*arguments)))
    every = np.concatenate(steps)
    return {
        "pixels: mean difference": float(every.mean()),
        "pixels: within 1/255": float((every <= 1).mean()),
        "pixels: within 2/255": float((every <= 2).mean()),
        "pixels: largest difference": float(every.max()),
    }


def _speed(masks: Path, checkpoint: Path | None, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    request = Request(options.guide, options.num)
    fast = make_plan(request, masks, checkpoint, device="cpu")
    plain = make_plan(request, masks, checkpoint, device="cpu", precision="fp32")
    plain.sampler.network.to(memory_format=torch.contiguous_format)
    generate(fast, out / "first", workers=options.workers)
    pixels = [read_image(path) for path in sorted((out / "first" / "images").iterdir())[:64]] * BATCHES
    forward, batches = _forward(fast), range(BATCHES * options.workers)
    with ThreadPoolExecutor(options.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        ways: dict[str, Callable[[str], object]] = {
            LOOP: lambda folder: _loop(plain, Path(folder, "images"), options.naive, labels=False),
            LABELED_LOOP: lambda folder: _loop(plain, Path(folder, "images"), options.naive, labels=True),
            COMMAND: lambda folder: generate(fast, Path(folder, "set"), workers=options.workers),
            "forward alone": lambda _: list(pool.map(forward, batches)),
            "encode alone": lambda _: list(pool.map(encode_image, pixels)),
        }
        times = take_turns(ways, rounds=options.rounds, setup=lambda: tempfile.TemporaryDirectory(dir=out))
    items = {
        LOOP: options.naive,
        LABELED_LOOP: options.naive,
        COMMAND: len(fast.jobs),
        "forward alone": len(batches) * fast.sampler.count,
        "encode alone": len(pixels),
    }
    if not options.json:
        print(times.table(LOOP, items=items))
    each = {name: times.median(name) / count for name, count in items.items()}
    limit = 1 / (each["forward alone"] + each["encode alone"])
    bf16, fp32 = cast(Sampler, fast.sampler), cast(Sampler, plain.sampler)
    return {
        **{f"{name}, images a second": 1 / seconds for name, seconds in each.items()},
        "t_forward ms": 1e3 * each["forward alone"],
        "t_encode ms": 1e3 * each["encode alone"],
        "limit 1/(t_forward + t_encode)": limit,
        "ratio to the loop, images only": each[LOOP] / each[COMMAND],
        "ratio to the loop, with labels": each[LABELED_LOOP] / each[COMMAND],
        "share of the limit": 1 / each[COMMAND] / limit,
        **_difference(bf16, fp32, fast, min(64, len(fast.jobs))),
    }


def _memory(root: Path, counts: list[int], size: int) -> dict[str, float]:
    checkpoint = _random_generator(root / "memory-net", size)
    result = {}
    for count in counts:
        masks = _write_masks(root / f"m{count}", count, size)
        command = [sys.executable, __file__, "--one", str(masks), str(checkpoint), str(root / f"o{count}")]
        result[f"peak MB, {count} masks"] = float(subprocess.run(command, check=True, capture_output=True).stdout)
    return result


def _peak(masks: Path, checkpoint: Path, out: Path) -> float:
    """MB of this process after generating an image of each mask."""
    generate(make_plan(Request("thickness=0.5", labels=("coco",)), masks, checkpoint), out)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: Sequence[str] | None = None) -> None:
    parser = timing_parser(__doc__, rounds=3)
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled generator, else random weights of 128 px")
    parser.add_argument("--guide", default="thickness=0.7")
    parser.add_argument("--count", type=int, default=60, help="masks")
    parser.add_argument("--num", type=int, default=10, help="images of a mask")
    parser.add_argument("--naive", type=int, default=40, help="images of the loops")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--workers", type=int, default=cores, help="of gen-defects, and of the limit")
    parser.add_argument("--masks", type=int, nargs=2, default=[1000, 10_000], help="for the memory")
    parser.add_argument("--quick", action="store_true", help="memory with a 32 px network")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", type=Path, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(_peak(*options.one))
        return
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        checkpoint, weights = options.checkpoint, str(options.checkpoint)
        if checkpoint is None:
            try:
                weights, size = "bundled", load_generator().size
            except CheckpointError:
                weights, size, checkpoint = "random", 128, _random_generator(root / "net", 128)
        else:
            size = load_generator(checkpoint).size
        masks = _write_masks(root / "masks", options.count, size)
        result: dict[str, Any] = {"weights": weights, "size": size, "load": os.getloadavg()[0]}
        result |= _speed(masks, checkpoint, root, options)
        if not options.no_memory:
            result |= _memory(root, options.masks, 32 if options.quick else size)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:34} {value:.3f}" if isinstance(value, float) else f"{name:34} {value}")


if __name__ == "__main__":
    main()
