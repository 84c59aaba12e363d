"""`gen-defects` against the loop people write, against its own limit, and its memory. All ratios come from one run.

The loop: one image at a time, float32, eager, Pillow's `save`; once without labels, once with the same labels made the
same way. The limit: 1 / (t_forward + t_encode), both measured with all cores busy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from PIL import Image

from defects.attributes.guide import CategoricalEntry, GuideSchema, NumericEntry
from defects.images.decode import encode_image
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

CHILD = """
import resource, sys
from pathlib import Path
from gan.generate import generate
from gan.plan import make_plan
from gan.request import Request
plan = make_plan(Request("thickness=0.5", labels=("coco",)), Path(sys.argv[1]), Path(sys.argv[2]))
generate(plan, Path(sys.argv[3]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def _random_generator(stem: Path, size: int) -> Path:
    """Random weights: speed and memory do not depend on them."""
    torch.manual_seed(0)
    schema = GuideSchema((NumericEntry("thickness", 2, size / 12, "px"), CategoricalEntry("background", ("a", "b"))))
    narrow = {} if size >= 128 else {"width": 8, "max_width": 16}
    config = MagnaNetwork.model_validate({"size": size, **narrow})
    network = MagnaGenerator(config, schema.size, schema.columns("background"))
    table = [{"thickness": 3.0, "background": name} for name in "ab"]
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


def _rate(count: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


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


def _limit(plan: Plan, pixels: list[np.ndarray], workers: int, rounds: int) -> tuple[float, float]:
    """Seconds an image of the forward pass alone and of PNG encoding alone, with all workers busy."""
    sampler, count = plan.sampler, plan.sampler.count
    side = plan.jobs.side
    mask = torch.zeros(count, 1, side, side, dtype=sampler.dtype).contiguous(memory_format=torch.channels_last)
    noise = sampler.network.sample_noise([torch_generator(0, i) for i in range(count)]).to("cpu", sampler.dtype)
    guides = torch.zeros(count, plan.jobs.schema.size, dtype=sampler.dtype)

    def forward(_: int) -> None:
        with torch.inference_mode():
            sampler.network(mask, noise, guides)

    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(forward, range(workers)))
        forwards = _rate(rounds * workers * count, lambda: list(pool.map(forward, range(rounds * workers))))
        encoded = pixels * rounds
        encodes = _rate(len(encoded), lambda: list(pool.map(encode_image, encoded)))
    return 1 / forwards, 1 / encodes


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


def _speed(masks: Path, checkpoint: Path | None, out: Path, options: argparse.Namespace) -> dict[str, float]:
    request = Request(options.guide, options.num)
    fast = make_plan(request, masks, checkpoint, device="cpu")
    plain = make_plan(request, masks, checkpoint, device="cpu", precision="fp32")
    plain.sampler.network.to(memory_format=torch.contiguous_format)
    result: dict[str, list[float]] = {}
    for i in range(options.rounds):
        naive, folders = options.naive, [out / f"{name}{i}" for name in ("bare", "labelled", "ours")]
        measured = {
            "loop, images only": _rate(naive, partial(_loop, plain, folders[0], naive, labels=False)),
            "loop, with labels": _rate(naive, partial(_loop, plain, folders[1], naive, labels=True)),
            "gen-defects": _rate(len(fast.jobs), partial(generate, fast, folders[2], workers=options.workers)),
        }
        pixels = [cv2.imread(str(path)) for path in sorted((folders[2] / "images").iterdir())[:64]]
        forward, encode = _limit(fast, pixels, options.workers, 4)
        measured |= {"t_forward ms": 1e3 * forward, "t_encode ms": 1e3 * encode}
        measured["limit 1/(t_forward + t_encode)"] = 1 / (forward + encode)
        measured["ratio to the loop, images only"] = measured["gen-defects"] / measured["loop, images only"]
        measured["ratio to the loop, with labels"] = measured["gen-defects"] / measured["loop, with labels"]
        measured["share of the limit"] = measured["gen-defects"] * (forward + encode)
        for name, value in measured.items():
            result.setdefault(name, []).append(value)
    bf16, fp32 = cast(Sampler, fast.sampler), cast(Sampler, plain.sampler)
    return {k: float(np.median(v)) for k, v in result.items()} | _difference(bf16, fp32, fast, 64)


def _memory(root: Path, counts: list[int], size: int) -> dict[str, float]:
    checkpoint = _random_generator(root / "memory-net", size)
    result = {}
    for count in counts:
        masks = _write_masks(root / f"m{count}", count, size)
        command = [sys.executable, "-c", CHILD, str(masks), str(checkpoint), str(root / f"o{count}")]
        result[f"peak MB, {count} masks"] = float(subprocess.run(command, check=True, capture_output=True).stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled generator, else random weights of 128 px")
    parser.add_argument("--guide", default="thickness=0.7")
    parser.add_argument("--count", type=int, default=60, help="masks")
    parser.add_argument("--num", type=int, default=10, help="images of a mask")
    parser.add_argument("--naive", type=int, default=40, help="images of the loops")
    parser.add_argument("--rounds", type=int, default=3)
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--workers", type=int, default=cores, help="of gen-defects, and of the limit")
    parser.add_argument("--masks", type=int, nargs=2, default=[1000, 10_000], help="for the memory")
    parser.add_argument("--quick", action="store_true", help="memory with a 32 px network")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
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
